import assert from 'node:assert/strict'
import test from 'node:test'
import type { Admission } from '#broker'
import type { CertificateHolder } from '#protocol'
import { ClientCertificates, decodePem, readDeviceIdentity } from '#x509'
import {
  authority,
  device,
  listenTo,
  makeWorld,
  publishPacket,
  subscribePacket,
  trustDomain,
  until,
  type World,
} from './harness.js'

function revoke(world: World, id: string) {
  world.refused.set(device(id), 'revoked')
  return world.broker.endDevices([device(id)], 'revoked')
}

test('case 55: with 5,000 messages in flight, not one more is delivered after the revocation has returned', async (t) => {
  const world = await makeWorld(t, { limits: { maxWaiting: 10_000 } })
  const listener = await listenTo(world, 'd2', 'open/#', 1)
  const speaker = await world.raw('d1')
  await speaker.connect('d1')

  world.audit.hold()
  speaker.send(...Array.from({ length: 5000 }, (_, at) => publishPacket('open/x', 'x', { qos: 1, messageId: at + 1 })))
  await until(() => world.records('message.publish').length === 5000)
  assert.equal(revoke(world, 'd1').sessions, 1)
  world.audit.release()
  await speaker.closed
  await listener.ping()
  await until(() => world.records('message.publish').length === 10_000)
  assert.equal(world.records('message.deliver').length, 0)
  assert.equal(listener.all('publish').length, 0)
  const cancelled = world.records('message.publish').slice(5000)
  assert.ok(cancelled.every(({ decision, reason }) => decision === 'deny' && reason === 'revoked'))
  assert.equal(world.records('session.end')[0]?.reason, 'revoked')
})

test('messages of a revoked device are taken out of the queues, in-flight windows and output of others', async (t) => {
  const world = await makeWorld(t, { limits: { maxInflight: 1 } })
  const listener = await listenTo(world, 'd2', 'open/#', 1)
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  const [first, second, third] = [1, 2, 3].map((messageId) => publishPacket('open/x', 'x', { qos: 1, messageId }))
  assert.ok(first && second && third)
  speaker.send(first, second, third)
  await speaker.next('puback', 3)
  await listener.next('publish')
  assert.equal(revoke(world, 'd1').purged, 2)
  listener.send({ cmd: 'puback', messageId: 1 })
  await listener.ping()
  assert.equal(listener.all('publish').length, 1)
  const [drop] = world.records('message.drop')
  assert.deepEqual([drop?.device, drop?.reason, drop?.count], ['d2', 'revoked', 2])
})

test('a revoked device loses its will, its retained messages and its stored session, also after a restart', async (t) => {
  const world = await makeWorld(t)
  const listener = await listenTo(world, 'd2', 'open/+', 1)
  const speaker = await world.raw('d1')
  const will = { topic: 'open/will', payload: Buffer.from('gone'), qos: 1, retain: false } as const
  await speaker.connect('d1', { clean: false, will })
  speaker.send(
    publishPacket('open/kept', 'x', { qos: 1, messageId: 1, retain: true }),
    subscribePacket(2, ['open/#', 1]),
  )
  await speaker.next('suback')
  await listener.next('publish')

  assert.equal(revoke(world, 'd1').purged, 1 + 1) // the retained message, and its own copy that waits for PUBACK
  await speaker.closed
  assert.equal(world.broker.sessions().length, 1)
  await world.restart()
  const late = await world.raw('d3')
  await late.connect('d3')
  late.send(subscribePacket(1, ['open/#', 1]))
  await late.next('suback')
  await late.ping()
  assert.equal(late.all('publish').length, 0)
  assert.equal(world.records('message.publish').filter(({ action }) => action === 'will').length, 0)
  const left: string[] = []
  for await (const [key] of world.store.entries('broker/')) left.push(key)
  assert.deepEqual(left, [])
})

test('a revoked device does not get back in, nor does one that is revoked while its CONNECT is on the way', async (t) => {
  const world = await makeWorld(t)
  world.audit.hold()
  const early = await world.raw('d1')
  const answered = early.connect('d1').catch((error: unknown) => error)
  await until(() => world.records('session.connect').length === 1)
  revoke(world, 'd1')
  world.audit.release()
  assert.ok((await answered) instanceof Error)
  const late = await world.raw('d1')
  assert.equal((await late.connect('d1')).returnCode, 5)
  await late.closed
  const [refused] = world.records('session.refuse')
  assert.deepEqual([refused?.reason, refused?.device, refused?.count], ['revoked', 'd1', 1])
})

test('what is remembered of a certificate lets nobody back in: neither who is revoked nor who is expired', async (t) => {
  const { ca } = await authority
  const certificates = new ClientCertificates((der) => readDeviceIdentity(der, trustDomain))
  const world: World = await makeWorld(t, {
    change: {
      identify: (der) => {
        const trust = { intermediates: [], anchors: decodePem(ca, 'CERTIFICATE'), at: new Date(world.clock) }
        return certificates.holderOf(der, trust)
      },
    },
  })
  for (const id of ['d1', 'd1', 'd2', 'd2']) {
    const known = await world.raw(id)
    assert.equal((await known.connect(id)).returnCode, 0)
  }
  revoke(world, 'd1')
  assert.equal((await (await world.raw('d1')).connect('d1')).returnCode, 5)
  world.clock += 2 * 86_400_000
  assert.equal((await (await world.raw('d2')).connect('d2')).returnCode, 5)
  await until(() => world.records('session.refuse').length === 2)
  const refused = world.records('session.refuse').map(({ reason, comment }) => [reason, comment])
  assert.deepEqual(refused, [
    ['revoked', undefined],
    ['identity_invalid', 'EXPIRED'],
  ])
})

test('when the device joins anew, sessions of its old machine end without their will; those before a renewal go on', async (t) => {
  let standing = (_: CertificateHolder): Admission => ({ admitted: true, state: 'current' })
  const world = await makeWorld(t, { change: { admit: (holder) => standing(holder) } })
  const will = { topic: 'open/will', payload: Buffer.from('gone'), qos: 1, retain: false } as const
  const [old, neighbour] = [await world.raw('d1'), await world.raw('d2')]
  await old.connect('d1', { will })
  await neighbour.connect('d2')
  const young = await world.raw('d1', await world.credentials('d1', 2))
  await young.connect('d1~new')

  const [der = new Uint8Array()] = decodePem((await world.credentials('d1')).cert, 'CERTIFICATE')
  const { fingerprint: before } = readDeviceIdentity(der, trustDomain)
  const refusing =
    (reason: string) =>
    ({ fingerprint }: CertificateHolder) =>
      fingerprint === before ? ({ admitted: false, reason } as const) : ({ admitted: true, state: 'current' } as const)
  standing = refusing('previous')
  assert.equal(world.broker.certificatesChanged(device('d1')), 0)
  await old.ping()
  standing = refusing('superseded')
  assert.equal(world.broker.certificatesChanged(device('d1')), 1)
  await old.closed
  await young.ping()
  await neighbour.ping()
  const [end] = world.records('session.end')
  assert.deepEqual([end?.device, end?.reason], ['d1', 'superseded'])
  assert.equal(world.records('message.publish').length, 0)
  assert.equal((await (await world.raw('d1')).connect('d1')).returnCode, 5)
})
