import { generateKeyPairSync, sign } from 'node:crypto'
import { createFleet } from '../fleet.js'
import type { Measured } from '../parts.js'
import { Worker } from '../processes.js'
import { perSecond } from '../speed.js'
import type { Options } from './options.js'
import { rowOf } from './rows.js'
import { Crowd } from './stage.js'

/** What nobody who lets devices in can do without. */
export async function* measureFloors(folder: string, { joins, atOnce, seconds }: Options): AsyncIterable<Measured> {
  yield await measureHandshakes(folder, joins, atOnce)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const data = Buffer.alloc(512)
  const signatures = await perSecond(seconds, () => void sign('sha256', data, privateKey))
  yield {
    row: 'floor: bare P-256 signatures',
    values: { 'per second': signatures, 'server ms each': 1000 / signatures },
  }
}

async function measureHandshakes(folder: string, count: number, atOnce: number): Promise<Measured> {
  const { ca, server } = await createFleet(0)
  const bare = new Worker<number>(new URL('./bare-tls.js', import.meta.url), [JSON.stringify({ server })])
  const crowd = new Crowd({ folder, door: { port: await bare.next(), ca }, token: '' }, bare.pid)
  try {
    await crowd.come('handshake', count >> 2, { atOnce })
    return rowOf('floor: bare TLS 1.3 handshakes', await crowd.come('handshake', count, { atOnce }))
  } finally {
    await crowd.leave()
    bare.child.kill()
    await bare.exited
  }
}
