import type { Clock } from '../clock.js'
import type { Endpoint } from '../device-key.js'
import { openTls, place } from '../tls.js'
import { type Trust, verifyServer } from '../trust.js'
import { type Check, checking, ok, warn } from './check.js'

/** Whether somebody answers there who is trusted, at this device's own idea of time. Nothing of the device is shown. */
export function checkServer(name: string, endpoint: Endpoint, trust: Trust, clock: Clock): Promise<Check> {
  return checking(name, async () => {
    const verify = (chain: readonly Uint8Array[]): Promise<void> => verifyServer(chain, endpoint, trust, clock)
    const { stream } = await openTls({ ...endpoint, ca: [], verify })
    stream.destroy()
    return ok(`${place(endpoint)} answers, and is the one to trust`)
  })
}

export function checkClock(clock: Clock): Check {
  const says = new Date(clock.now()).toISOString()
  if (!clock.isOnlyAFloor) return { name: 'clock', ...ok(says) }
  return { name: 'clock', ...warn(`stands before ${says}, which has passed; the service will tell the time`) }
}
