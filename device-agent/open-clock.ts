import { Clock } from './clock.js'
import type { StateFolder } from './state-folder.js'

/** The device's clock, with the floor that the state folder remembers. */
export async function openClock(state: StateFolder): Promise<Clock> {
  return new Clock({
    system: () => Date.now(),
    monotonic: () => performance.now(),
    floor: await state.clockFloor(),
  })
}
