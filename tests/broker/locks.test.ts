import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { DeviceId, DeviceIdentity, LockTarget } from '#protocol'
import { parseKeyIdentifier, parseLockId } from '#protocol'
import { parsePolicy, renderPolicy } from '#policy'
import { by, createWorld as createRegistryWorld, joinByToken, renew } from '../registry/world.js'
import { codeOf } from './conformance/peer.js'
import {
  device,
  listenTo,
  makeWorld,
  policySource,
  publishPacket,
  type RawClient,
  subscribePacket,
  until,
} from './harness.js'

/* A broker and a registry as the server puts them together: what a lock is on, over real connections. */

test('a selector is on 50 of 100 publishing devices: when it returns not one more message of theirs is delivered', async (t) => {
  const world = await openWorld(t)
  const devices = await Promise.all(
    Array.from({ length: 100 }, (_, at) => world.join(`d${at}`, { half: String(at % 2) })),
  )
  const listener = await world.join('listener', {})
  listener.send(subscribePacket(1, ['open/#', 0]))
  await listener.next('suback')
  let sent = 0
  const speaking = setInterval(() => {
    for (const [at, client] of devices.entries())
      client.send(publishPacket(`open/d${at}`, String(sent), { retain: sent === 3 }))
    sent++
  }, 2)
  t.after(() => clearInterval(speaking))
  await until(() => listener.all('publish').length > 1000)

  const before = world.broker.sessions().length
  const locking = world.lock({ labels: { half: '1' } })
  const acting = world.audit.records.at(-1)?.sequence ?? 0
  assert.equal(locking.devices, 50)
  assert.equal(world.progress(locking.epoch).sessions, 50)
  assert.equal(before - world.broker.sessions().length, 50)
  await Promise.all(devices.filter((_, at) => at % 2 === 1).map(({ closed }) => closed))
  const heard = listener.all('publish').length
  await until(() => listener.all('publish').length > heard + 500)
  const delivered = world.records('message.deliver').filter(({ sequence }) => sequence > acting)
  assert.ok(delivered.length > 500)
  assert.deepEqual(
    delivered.filter(({ publisher }) => Number(publisher?.slice(1)) % 2 === 1),
    [],
  )
  const later = await world.join('later', {})
  later.send(subscribePacket(1, ['open/#', 0]))
  await later.next('suback')
  await later.ping()
  const retained = later.all('publish').filter((packet) => packet.retain)
  assert.ok(retained.every(({ topic }) => Number(topic.slice('open/d'.length)) % 2 === 0))
})

test('under reconnects without end nobody gets in from the moment a lock returns, and everybody once it is removed', async (t) => {
  const world = await openWorld(t)
  await world.join('d1', {})
  let [isLocked, letInLate, turnedAway, letIn] = [false, 0, 0, 0]
  let over = false
  const loops = Array.from({ length: 8 }, async () => {
    while (!over) {
      const wasLocked = isLocked
      const client = await world.raw('d1')
      const answer = await client.connect('d1').catch(() => undefined)
      if (answer?.returnCode === 0) {
        letIn++
        if (wasLocked && isLocked) letInLate++
      } else if (wasLocked) turnedAway++
      client.socket.destroy()
    }
  })
  await until(() => letIn > 20)
  world.lock({ device: device('d1') })
  isLocked = true
  await until(() => turnedAway > 100)
  assert.equal(letInLate, 0)
  isLocked = false
  await world.registry.removeLock(parseLockId('one'), by)
  const before = letIn
  await until(() => letIn > before + 10)
  over = true
  await Promise.all(loops)
})

test('what was waiting for the log when the lock came goes nowhere, also when the lock is removed before it is there', async (t) => {
  const world = await openWorld(t)
  const listener = await world.join('listener', {})
  listener.send(subscribePacket(1, ['open/#', 1]))
  await listener.next('suback')
  const speaker = await world.join(
    'd1',
    {},
    { will: { topic: 'open/will', payload: Buffer.from('w'), qos: 0, retain: false } },
  )
  world.audit.hold()
  speaker.send(...Array.from({ length: 100 }, (_, at) => publishPacket('open/x', 'x', { qos: 1, messageId: at + 1 })))
  await until(() => world.records('message.publish').length === 100)
  world.lock({ device: device('d1') })
  void world.registry.removeLock(parseLockId('one'), by)
  world.audit.release()
  await speaker.closed
  await until(() => world.records('message.publish').length === 200)
  await listener.ping()
  assert.equal(world.records('message.deliver').length, 0)
  assert.equal(listener.all('publish').length, 0)
  assert.ok(
    world
      .records('message.publish')
      .slice(100)
      .every(({ reason }) => reason === 'locked'),
  )
  assert.equal(world.records('session.end')[0]?.reason, 'locked')
})

test('what was waiting for the log when its device was put in quarantine goes nowhere', async (t) => {
  const quarantined = new Set<DeviceId>()
  const policy = parsePolicy(`${policySource()}quarantine: { role: single }`, 'policy.yaml')
  const policyFor = (id: DeviceId) =>
    renderPolicy(policy, { id, tier: 'tpm', labels: { kind: 'device' }, quarantined: quarantined.has(id) })
  const world = await makeWorld(t, { change: { policyFor } })
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  const listener = await listenTo(world, 'd2', 'open/#', 1)
  world.audit.hold()
  speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await until(() => world.records('message.publish').length === 1)
  quarantined.add(device('d1'))
  const nothing = { after: 0, revoked: [], locked: [], restored: [], released: [] }
  world.broker.applyLocks({ ...nothing, quarantined: [device('d1')] })
  world.audit.release()
  await until(() => world.records('message.publish').length === 2)
  await listener.ping()
  assert.equal(world.records('message.publish')[1]?.reason, 'quarantined')
  assert.equal(listener.all('publish').length, 0)
})

test('a lock on addresses ends who is connected from there, with queues and wills, and lets nobody in; others stay', async (t) => {
  const world = await openWorld(t)
  const here = await world.join('d1', {}, { clean: false })
  world.lock({ addresses: '198.51.100.0/24' })
  await here.ping()
  world.lock({ addresses: '127.0.0.0/8' }, 'two')
  await here.closed
  assert.deepEqual(world.broker.sessions(), [])
  assert.equal((await (await world.raw('d1')).connect('d1')).returnCode, 5)
  assert.equal(world.records('session.refuse').at(-1)?.reason, 'locked')
  await world.registry.removeLock(parseLockId('two'), by)
  assert.equal((await (await world.raw('d1')).connect('d1', { clean: false })).sessionPresent, false)
})

test('a lock on addresses is also on who was there last: its queue and its will are gone, and what it said', async (t) => {
  const world = await openWorld(t)
  const listener = await world.join('listener', {})
  listener.send(subscribePacket(1, ['open/#', 1]))
  await listener.next('suback')
  const properties = { sessionExpiryInterval: 3600 }
  const will = { topic: 'open/will', payload: Buffer.from('w'), qos: 0, retain: false } as const
  const delayed = { ...will, properties: { willDelayInterval: 60 } }
  const away = await world.join('d1', {}, { clean: false, properties, will: delayed }, '127.0.0.2')
  away.send(subscribePacket(1, ['open/#', 1]), publishPacket('open/kept', 'x', { retain: true }))
  await away.next('suback')
  await listener.next('publish')
  away.socket.destroy()
  const elsewhere = await world.join('d2', {}, { clean: false, properties }, '127.0.0.3')
  elsewhere.socket.destroy()
  await until(() => world.broker.sessions().filter(({ connected }) => connected).length === 1)
  const speaker = await world.join('d3', {})
  speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await speaker.next('puback')

  const { epoch } = world.lock({ addresses: '127.0.0.2' })
  assert.deepEqual(world.progress(epoch), { sessions: 0, purged: 1 + 1, outstanding: [] }) // what waited for it, and what it retained
  const left = world.broker.sessions().map(({ clientId }) => clientId)
  assert.deepEqual(left.toSorted(), ['d2', 'd3', 'listener'])
  world.clock += 61_000
  await world.registry.removeLock(parseLockId('one'), by)
  const back = await world.raw('d1', { localAddress: '127.0.0.2' }, 5)
  assert.equal((await back.connect('d1', { clean: false, properties })).sessionPresent, false)
  await listener.ping()
  assert.ok(listener.all('publish').every(({ topic }) => topic !== 'open/will'))
})

test('last words from an address that is locked meanwhile are not heard, whoever has gone from there', async (t) => {
  const world = await openWorld(t)
  const listener = await world.join('listener', {})
  listener.send(subscribePacket(1, ['open/#', 1]))
  await listener.next('suback')
  const speaker = await world.join('d1', {}, {}, '127.0.0.2')
  world.audit.hold()
  speaker.send(publishPacket('open/x', 'x'), { cmd: 'disconnect' })
  await speaker.closed
  await until(() => world.records('message.publish').length === 1)
  await until(() => world.broker.sessions().length === 1)
  world.lock({ addresses: '127.0.0.2' })
  world.audit.release()
  await until(() => world.records('message.publish').length === 2)
  await listener.ping()
  assert.deepEqual([world.records('message.publish')[1]?.reason, listener.all('publish')], ['locked', []])
})

for (const [what, target] of [
  ['addresses', { addresses: '127.0.0.0/8' }],
  ['an issuer', { issuer: parseKeyIdentifier('a'.repeat(40)) }],
] as const) {
  test(`a lock on ${what} ends the connection that a renewed device has begun with its certificate of before`, async (t) => {
    const world = await openWorld(t)
    const client = await world.join('d1', {})
    await world.renew('d1')
    world.broker.certificatesChanged(device('d1'))
    await client.ping()
    world.lock(target)
    await client.closed
    assert.equal(world.records('session.end')[0]?.reason, 'locked')
  })
}

test('a session that waits for a locked device is gone, and is not there when the device may come back', async (t) => {
  const world = await openWorld(t)
  const away = await world.join('d1', {}, { clean: false })
  away.send(subscribePacket(1, ['open/#', 1]))
  await away.next('suback')
  away.send({ cmd: 'disconnect' })
  await away.closed
  const speaker = await world.join('d2', {})
  speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await speaker.next('puback')
  await until(() => world.broker.sessions().some(({ queued }) => queued === 1))
  const { epoch } = world.lock({ device: device('d1') })
  assert.deepEqual(world.progress(epoch), { sessions: 0, purged: 1, outstanding: [] })
  await world.registry.removeLock(parseLockId('one'), by)
  const back = await world.raw('d1')
  assert.equal((await back.connect('d1', { clean: false })).sessionPresent, false)
})

async function openWorld(t: TestContext) {
  const known = await createRegistryWorld()
  const { registry } = known
  const identities = new Map<DeviceId, DeviceIdentity>()
  const world = await makeWorld(t, {
    change: {
      admit: ({ deviceId }, address) => {
        const identity = identities.get(deviceId)
        return identity ? registry.admit(identity, address) : { admitted: false, reason: 'unknown_certificate' }
      },
    },
  })
  registry.locks.follow('local', ({ revision, ...change }, { applied }) => {
    applied(revision, world.broker.applyLocks(change))
  })
  return Object.assign(world, {
    registry,
    /** A device that is known with these labels, and connected. */
    async join(
      id: string,
      labels: Readonly<Record<string, string>>,
      more: Parameters<RawClient['connect']>[1] = {},
      localAddress = '127.0.0.1',
    ) {
      const identity = await joinByToken(known, `key of ${id}`, id)
      await registry.promote(identity)
      await registry.labelDevice(identity.deviceId, labels, by)
      identities.set(identity.deviceId, identity)
      const client = await world.raw(id, { localAddress }, more.properties ? 5 : 4)
      assert.equal(codeOf(await client.connect(id, more)), 0)
      return client
    },
    /** Its connection stays the one of the certificate before. */
    async renew(id: string) {
      const identity = identities.get(device(id)) ?? assert.fail()
      await registry.promote(await renew(known, identity, `key of ${id}`))
    },
    lock(target: LockTarget, id = 'one') {
      return registry.addLock({ lock: parseLockId(id), target, mode: 'lock', reason: 'a test' }, by)
    },
    progress: (revision: number) => registry.locks.progress(revision),
  })
}
