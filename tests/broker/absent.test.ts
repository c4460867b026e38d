import assert from 'node:assert/strict'
import test from 'node:test'
import type { Admission } from '#broker'
import { join, subscribe } from './conformance/peer.js'
import { makeWorld, until } from './harness.js'

/* What becomes of the delayed will of a client that is away, when it would not be let in again from where it was. */

const lasting = { clean: false, properties: { sessionExpiryInterval: 3600 } }
const will = {
  topic: 'open/will',
  payload: Buffer.from('gone'),
  qos: 1,
  retain: false,
  properties: { willDelayInterval: 60 },
} as const

for (const [reason, outcome] of [
  ['locked', 'is silent'],
  ['revoked', 'is silent'],
  ['superseded', 'is silent'],
  ['unknown_certificate', 'is silent'],
  ['previous', 'speaks'],
  ['expired', 'speaks'],
] as const) {
  for (const between of ['nothing', 'a restart', 'a crash'] as const) {
    test(`a will ${outcome} for who would be refused as ${reason} now, with ${between} in between`, async (t) => {
      const speaks = outcome === 'speaks'
      let standing: Admission = { admitted: true, state: 'current' }
      const asked: (string | undefined)[] = []
      const admit = (_: unknown, address: string): Admission => {
        asked.push(address)
        return address === '127.0.0.2' ? standing : { admitted: true, state: 'current' }
      }
      const world = await makeWorld(t, { change: { admit }, limits: { willDeferSeconds: 1 } })
      const speaker = await world.raw('d1', { localAddress: '127.0.0.2' }, 5)
      await speaker.connect('d1', { ...lasting, will })
      speaker.socket.destroy()
      await until(() => world.broker.sessions().every(({ connected }) => !connected))
      if (between === 'a restart') await world.restart()
      if (between === 'a crash') await world.crash()
      standing = { admitted: false, reason }
      const listener = await join(world, 'd2', 5)
      await subscribe(listener, ['open/#', 1])
      asked.length = 0
      world.clock += 61_000
      await until(() => asked.length > 0)
      assert.deepEqual(asked.slice(0, 1), ['127.0.0.2'])
      if (speaks) assert.equal((await listener.next('publish')).payload.toString(), 'gone')
      await listener.ping()
      assert.equal(listener.all('publish').length, speaks ? 1 : 0)
      const wills = world.records('message.publish').filter(({ action }) => action === 'will')
      assert.equal(wills.length, speaks ? 1 : 0)
    })
  }
}
