import assert from 'node:assert/strict'
import test from 'node:test'
import { parsePolicy, renderPolicy } from '#policy'
import type { DeviceId, DeviceIdentity } from '#protocol'
import { attributesOf } from '../../server/attributes.js'
import { followRegistry } from '../../server/follow-registry.js'
import { makeWorld, publishPacket } from '../broker/harness.js'
import { attested, by, createWorld, credential, join, newToken, renew } from '../registry/world.js'

const policy = parsePolicy(
  `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: test, version: 1 }
roles:
  measured: { sessions: { max: 2 }, allow: [{ id: say, actions: [publish], topics: ["measured/#"] }] }
  any: { sessions: { max: 2 }, allow: [{ id: say, actions: [publish], topics: ["any/#"] }] }
bindings:
  - { role: measured, match: { tier: tpm+pcr } }
  - { role: any, match: { tier: [tpm, tpm+pcr] } }
`,
  'policy.yaml',
)

test('a certificate of a lower tier takes from live sessions, when it is first used, what only the higher tier gave', async (t) => {
  const known = await createWorld()
  const { registry } = known
  await registry.createToken(newToken(known, 'tpm'), by)
  const measured = await join(known, attested('key', { ek: 'a', tier: 'tpm+pcr' }), credential('tpm'))
  const shown = { by: measured }
  const world = await makeWorld(t, {
    change: {
      admit: (_, address) => registry.admit(shown.by, address),
      promote: (_, peer) => registry.promote(shown.by, peer),
      policyFor: (id, from) => rightsOf(id, from),
    },
  })
  const rightsOf = (id: DeviceId, from: string | undefined) => {
    const attributes = attributesOf(registry, id)
    return attributes && renderPolicy(policy, attributes, { from, at: known.clock.now })
  }
  followRegistry(world.broker, registry)
  const connect = async (identity: DeviceIdentity, clientId: string) => {
    shown.by = identity
    const client = await world.raw(identity.deviceId, {}, 5)
    assert.equal((await client.connect(clientId)).reasonCode, 0)
    return client
  }
  const first = await connect(measured, measured.deviceId)
  let messageId = 0
  const says = async (topic: string) => {
    first.send(publishPacket(topic, 'x', { qos: 1, messageId: ++messageId }))
    return (await first.next('puback', messageId)).reasonCode
  }
  const isTaken = 0x10 // and nobody listens
  assert.deepEqual([await says('measured/x'), await says('any/x')], [isTaken, isTaken])

  const renewed = await renew(known, measured, 'key')
  assert.equal(renewed.tier, 'tpm')
  assert.equal(await says('measured/x'), isTaken, 'nothing has shown it yet')
  await connect(renewed, `${measured.deviceId}~2`)
  assert.deepEqual([await says('measured/x'), await says('any/x')], [0x87, isTaken])
})
