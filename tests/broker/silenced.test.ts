import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { DeviceId } from '#protocol'
import { parsePolicy, renderPolicy } from '#policy'
import {
  device,
  listenTo,
  makeWorld,
  policySource,
  publishPacket,
  type RawClient,
  until,
  type World,
} from './harness.js'

/*
 * What a device has said and what waits for its record is silenced for good, however soon the lock is removed, and though
 * the connection that said it has gone. The registry is played here: its removal of a lock would itself wait for the log.
 */

const d1 = device('d1')
const nothing = { after: 0, revoked: [], locked: [], quarantined: [], restored: [], released: [] }
const will = { topic: 'open/will', payload: Buffer.from('gone'), qos: 0, retain: false } as const

for (const [what, shut, open, reason] of [
  ['a lock', { locked: [d1] }, { restored: [d1] }, 'locked'],
  ['a revocation', { revoked: [d1] }, { restored: [d1] }, 'revoked'],
  ['quarantine', { quarantined: [d1] }, { released: [d1] }, 'quarantined'],
] as const) {
  test(`last words of who has gone are not heard behind ${what} that has passed before their record is there`, async (t) => {
    const { world, listener } = await openWorld(t)
    const speaker = await world.raw('d1')
    await speaker.connect('d1', { will })
    world.audit.hold()
    speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }), publishPacket('open/x', 'x', { retain: true }))
    await until(() => world.records('message.publish').length === 2)
    speaker.socket.destroy()
    await until(() => world.records('message.publish').length === 3) // its will
    await until(() => world.broker.sessions().length === 1)

    world.broker.applyLocks({ ...nothing, ...shut })
    world.broker.applyLocks({ ...nothing, ...open })
    const again = await world.raw('d1')
    again.send({ ...connect, clientId: 'd1' })
    await until(() => world.records('session.connect').length === 3)
    world.audit.release()
    await again.next('connack')
    again.send(publishPacket('open/x', 'free again'))
    assert.deepEqual(await heard(listener, 1), ['free again'])
    const silenced = world.records('message.publish').slice(3, 6)
    assert.deepEqual(
      silenced.map((record) => [record.action, record.reason, record.recipients]),
      [
        ['publish', reason, 0],
        ['publish', reason, 0],
        ['will', reason, 0],
      ],
    )
    await listener.ping()
    assert.equal(listener.all('publish').length, 1)
  })
}

test('what a device in quarantine has said by what is left to it is heard, also when a broker is told the whole state again', async (t) => {
  const quarantined = new Set<DeviceId>([d1])
  const policy = parsePolicy(`${policySource()}quarantine: { role: device }`, 'policy.yaml')
  const policyFor = (id: DeviceId) =>
    renderPolicy(policy, { id, tier: 'tpm', labels: { kind: 'device' }, quarantined: quarantined.has(id) })
  const { world, listener } = await openWorld(t, { policyFor })
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  world.audit.hold()
  speaker.send(publishPacket('open/x', 'repaired', { qos: 1, messageId: 1 }))
  await until(() => world.records('message.publish').length === 1)
  const { after: _, ...whole } = { ...nothing, quarantined: [d1] }
  world.broker.applyLocks(whole)
  world.audit.release()
  assert.deepEqual(await heard(listener, 1), ['repaired'])
})

const connect = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, keepalive: 60, clean: true } as const

async function openWorld(t: TestContext, change = {}): Promise<{ world: World; listener: RawClient }> {
  const world = await makeWorld(t, { change })
  const listener = await listenTo(world, 'd2', 'open/#', 0)
  return { world, listener }
}

async function heard(listener: RawClient, count: number): Promise<readonly string[]> {
  await listener.next('publish', count)
  return listener.all('publish').map(({ payload }) => payload.toString())
}
