import type { Measured } from '../parts.js'
import type { Options } from './options.js'
import { measureFloors } from './floors.js'
import { rowOf } from './rows.js'
import { openStage } from './stage.js'

/** The ways in, and how a row calls them. */
const ways = [
  ['token', 'token joins'],
  ['tpm', 'TPM joins'],
] as const

/** As many as come in when so many are at the door all the time; then half of that, evenly; and the floors under it. */
export async function* measureRates(folder: string, options: Options): AsyncIterable<Measured> {
  const { joins, atOnce } = options
  const { crowd, end } = await openStage(folder)
  try {
    for (const [kind, name] of ways) {
      await crowd.come(kind, joins >> 2, { atOnce }) // Node compiles
      const full = await crowd.come(kind, joins, { atOnce })
      yield rowOf(`${name}, ${atOnce} at a time`, full)
      const half = full.count / full.seconds / 2
      yield rowOf(`${name}, at half of that`, await crowd.come(kind, joins >> 1, { perSecond: half }))
    }
  } finally {
    await end()
  }
  yield* measureFloors(folder, options)
}
