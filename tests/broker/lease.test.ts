import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { LockFollower, LockLease } from '#broker'
import { parseLockId } from '#protocol'
import { type LeaseMode, type LockChange, leaseTerms } from '#registry'
import { by, createWorld as createRegistryWorld, joinByToken } from '../registry/world.js'
import { device, makeWorld, publishPacket, subscribePacket } from './harness.js'

/* A broker whose way to the lock feed can be cut, as one on another machine has it. */

const second = 1000
const { milliseconds, graceMilliseconds } = leaseTerms()
/** As {@link makeWorld} has them. */
const sweepMilliseconds = 5

test('case 90: a broker that is cut off from locks stops at the end of its lease, and goes on when the feed is back', async (t) => {
  const world = await openWorld(t)
  const [speaker, listener] = [await world.join('d1'), await world.join('d2')]
  await world.enroll('d3')
  listener.send(subscribePacket(1, ['open/#', 0]))
  await listener.next('suback')
  await world.beat()
  const say = (payload: string, id: number) => speaker.send(publishPacket('open/x', payload, { qos: 1, messageId: id }))
  say('before', 1)
  await speaker.next('puback')
  await listener.next('publish')

  world.cut = true
  world.lock('d1')
  assert.deepEqual(world.progress().outstanding, ['far'])
  world.pass(milliseconds - 1)
  await world.beat()
  say('in time', 2) // the operator was told: outstanding
  await listener.next('publish', 2)
  await speaker.next('puback', 2)
  world.pass(1)
  assert.deepEqual(world.progress().outstanding, [])
  say('too late', 3)
  world.broker.leaseLooked()
  const late = await world.raw('d3')
  const answer = late.connect('d3')
  await turns()
  assert.deepEqual(
    [listener.all('publish').length, speaker.all('puback').length, late.all('connack').length],
    [2, 2, 0],
  )

  world.cut = false
  await world.beat() // behind: the whole state comes
  await world.beat()
  await speaker.closed
  await listener.ping()
  assert.deepEqual(
    listener.all('publish').map(({ payload }) => payload.toString()),
    ['before', 'in time'],
  )
  assert.equal(world.records('session.end').find(({ device: id }) => id === 'd1')?.reason, 'locked')
  assert.equal(speaker.all('puback').length, 2)
  assert.equal((await answer).returnCode, 0)
  const again = await world.raw('d1')
  assert.notEqual((await again.connect('d1')).returnCode, 0)
})

test('case 90: a broker that stays cut off ends its sessions, without a word and without their acknowledgements', async (t) => {
  const world = await openWorld(t)
  const speaker = await world.join('d1')
  world.cut = true
  world.pass(milliseconds)
  speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  world.pass(graceMilliseconds)
  await speaker.closed
  assert.equal(speaker.all('puback').length, 0)
  assert.equal(world.records('session.end')[0]?.reason, 'internal')
})

test('a broker that stood still for long goes on when its first sweep comes before the beat that renews', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const world = await openWorld(t)
  const speaker = await world.join('d1')
  world.pass(10 * milliseconds)
  t.mock.timers.tick(sweepMilliseconds)
  await world.beat() // behind: the whole state comes
  await world.beat()
  t.mock.timers.tick(sweepMilliseconds)
  await speaker.ping()
  assert.equal(world.records('session.end').length, 0)
})

test('what is unlocked while a broker is cut off is let in again when the whole state comes', async (t) => {
  const world = await openWorld(t)
  await world.join('d1')
  world.lock('d1')
  world.cut = true
  await world.registry.removeLock(parseLockId('lock-of-d1'), by)
  world.cut = false
  await world.beat()
  await world.beat()
  const back = await world.raw('d1')
  assert.equal((await back.connect('d1')).returnCode, 0)
})

test('a change that was lost on the way lets none behind it act, until the whole state does', async (t) => {
  const world = await openWorld(t)
  const [first, other] = [await world.join('d1'), await world.join('d2')]
  world.cut = true
  world.lock('d1')
  world.cut = false
  world.lock('d2')
  await Promise.all([first.ping(), other.ping()])
  assert.deepEqual(world.progress().outstanding, ['far'])
  await world.beat()
  await Promise.all([first.closed, other.closed])
  assert.deepEqual(world.progress().outstanding, [])
  await world.beat()
  assert.ok(world.lease.holds)
})

test('a bestEffort broker goes on, and stays named as outstanding for as long as it does', async (t) => {
  const world = await openWorld(t, 'bestEffort')
  const speaker = await world.join('d1')
  world.cut = true
  world.lock('d1')
  world.pass(10 * milliseconds)
  speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await speaker.next('puback')
  assert.deepEqual(world.progress().outstanding, ['far'])
})

test('feed and broker count by the same terms, whatever they are', async (t) => {
  const world = await openWorld(t, 'strict', 60)
  await world.join('d1')
  world.cut = true
  world.lock('d1')
  world.pass(60 * second - 1)
  assert.deepEqual([world.lease.holds, world.progress().outstanding], [true, ['far']])
  world.pass(1)
  assert.deepEqual([world.lease.holds, world.progress().outstanding], [false, []])
})

test('a lease counts from when it was asked for, however long the answer takes', async () => {
  let now = 0
  const elapsed = () => now
  const lease = new LockLease({ elapsed })
  const follower = new LockFollower({ lease, elapsed, apply: () => ({ sessions: 0, purged: 0 }) })
  now = 8 * second
  await follower.beat(async () => {
    now = 9 * second
    return 'renewed'
  })
  now = 18 * second - 1
  assert.ok(lease.holds)
  now = 18 * second
  assert.ok(!lease.holds && !lease.isGivenUp)
  now += graceMilliseconds
  assert.ok(lease.isGivenUp)
})

async function openWorld(t: TestContext, mode: LeaseMode = 'strict', seconds = 10) {
  const clock = { elapsed: 0 }
  const elapsed = () => clock.elapsed
  const known = await createRegistryWorld()
  const registry = await known.open({ elapsed })
  const terms = leaseTerms({ mode, seconds })
  const lease = new LockLease({ terms, elapsed })
  const identities = new Set<string>()
  let lastRevision = 0
  const world = await makeWorld(t, {
    change: {
      lease,
      /** Here as at a broker elsewhere: what it has been told of locks alone says whom it lets in. */
      admit: ({ deviceId }) =>
        identities.has(deviceId) ? { admitted: true, state: 'current' } : { admitted: false, reason: 'unknown' },
    },
  })
  const follower = new LockFollower({
    ...{ lease, elapsed },
    apply: ({ revision: _, ...change }: LockChange) => world.broker.applyLocks(change),
  })
  const way = { cut: false }
  const through = (): void => {
    if (way.cut) throw new Error('no way')
  }
  const hold = registry.locks.follow(
    'far',
    (change, { applied }) => {
      through()
      follower.take(change, applied)
    },
    terms,
  )
  return Object.assign(way, {
    ...{ lease, registry },
    get broker() {
      return world.broker
    },
    records: world.records,
    raw: (id: string) => world.raw(id),
    pass: (milliseconds: number) => void (clock.elapsed += milliseconds),
    async beat() {
      await follower.beat(async (revision) => {
        through()
        return hold.renew(revision)
      })
      world.broker.leaseLooked()
    },
    lock(id: string) {
      const order = { target: { device: device(id) }, mode: 'lock', reason: 'a test' } as const
      lastRevision = registry.addLock({ lock: parseLockId(`lock-of-${id}`), ...order }, by).epoch
    },
    progress: () => registry.locks.progress(lastRevision),
    async enroll(id: string) {
      const identity = await joinByToken({ ...known, registry }, `key of ${id}`, id)
      await registry.promote(identity)
      identities.add(id)
    },
    async join(id: string) {
      await this.enroll(id)
      const client = await world.raw(id)
      assert.equal((await client.connect(id)).returnCode, 0)
      return client
    },
  })
}

/** Enough for whatever is not held back to get out. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
}
