import { rowOf } from '../join/rows.js'
import type { Measured } from '../parts.js'
import type { Options } from './options.js'
import { openStage } from './stage.js'

/** Each over a connection of its own, with the certificate that the renewal before has brought. */
export async function* measureRenewals(folder: string, { renewals, atOnce }: Options): AsyncIterable<Measured> {
  const { tell, end } = await openStage(folder, renewals)
  try {
    await tell({ do: 'join', count: renewals, pace: { atOnce } })
    await tell({ do: 'renew', count: renewals, pace: { atOnce } }) // Node compiles; and from here on each also promotes
    const full = await tell({ do: 'renew', count: renewals, pace: { atOnce } })
    yield rowOf(`renewals, ${atOnce} at a time`, full)
    const pace = { perSecond: full.count / full.seconds / 2 }
    yield rowOf('renewals, at half of that', await tell({ do: 'renew', count: renewals >> 1, pace }))
  } finally {
    await end()
  }
}
