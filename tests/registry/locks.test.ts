import assert from 'node:assert/strict'
import test from 'node:test'
import { type DeviceIdentity, type LockTarget, parseDeviceId, parseLockId, parseLockTarget } from '#protocol'
import type { LockChange, Registry } from '#registry'
import {
  attested,
  by,
  createWorld,
  credential,
  FullError,
  hash,
  hour,
  join,
  joinByToken,
  newToken,
  renew,
} from './world.js'

const order = (target: LockTarget, over: Partial<Parameters<Registry['addLock']>[0]> = {}) => ({
  lock: parseLockId('one'),
  target,
  mode: 'lock' as const,
  reason: 'a test',
  ...over,
})

test('each kind of target is on whom it names, and on nobody else', async () => {
  const world = await createWorld()
  const first = await joinByToken(world, 'key 1', 'pump-1')
  const other = await joinByToken(world, 'key 2', 'pump-2')
  await world.registry.labelDevice(first.deviceId, { site: 'oslo', line: '4' }, by)
  const [instance = ''] = world.registry.device(first.deviceId)?.instances ?? []
  const targets = [
    'device:pump-1',
    'labels:site=oslo,line=4',
    'labels:line=4',
    `instance:${instance}`,
    'token:for-key-1',
    'addresses:192.0.2.0/24',
    'addresses:2001:db8::/32',
  ].map(parseLockTarget)
  for (const target of targets) {
    const { recorded } = world.registry.addLock(order(target), by)
    await recorded
    const from = 'addresses' in target && target.addresses.includes('::') ? '2001:db8::7' : '192.0.2.7'
    const away = 'addresses' in target ? '198.51.100.1' : from
    assert.deepEqual(
      world.registry.admit(first, from),
      { admitted: false, reason: 'locked', comment: 'one' },
      JSON.stringify(target),
    )
    assert.ok(world.registry.admit(other, away).admitted, JSON.stringify(target))
    await world.registry.removeLock(parseLockId('one'), by)
    assert.ok(world.registry.admit(first, from).admitted)
  }
})

test('an IPv4 address that was mapped into IPv6 is the address that it is, and what is no address is in every range', async () => {
  const world = await createWorld()
  const device = await joinByToken(world, 'key 1')
  world.registry.addLock(order({ addresses: '192.0.2.0/24' }), by)
  for (const address of ['192.0.2.255', '::ffff:192.0.2.1', 'nonsense', '']) {
    assert.equal(world.registry.admit(device, address).admitted, false, address)
  }
  for (const address of ['192.0.3.0', '::ffff:192.0.3.1', 'fe80::1%eth0']) {
    assert.equal(world.registry.admit(device, address).admitted, true, address)
  }
})

test('a selector of labels is on devices that get these labels later, and lets them go with them', async () => {
  const world = await createWorld()
  const { deviceId, ...identity } = await joinByToken(world, 'key 1')
  const device = { ...identity, deviceId } as DeviceIdentity
  const changes = follow(world.registry)
  world.registry.addLock(order({ labels: { site: 'rome' } }), by)
  assert.ok(world.registry.admit(device).admitted)
  await world.registry.labelDevice(deviceId, { site: 'rome' }, by)
  assert.equal(world.registry.admit(device).admitted, false)
  await world.registry.labelDevice(deviceId, { site: 'oslo' }, by)
  assert.ok(world.registry.admit(device).admitted)
  const [start, made, on, off] = changes
  assert.deepEqual([start?.locked, made?.locked, on?.locked, off?.restored], [[], [], [deviceId], [deviceId]])
  assert.deepEqual(
    changes.map(({ revision }) => revision),
    [0, 1, 2, 3],
  )
})

test('a lock on a role is on whom the policy in force gives it, and while that cannot be told on every device', async () => {
  const world = await createWorld()
  const device = await joinByToken(world, 'key 1', 'pump-1')
  const other = await joinByToken(world, 'key 2', 'pump-2')
  const admitted = () => [device, other].map((identity) => world.registry.admit(identity).admitted)
  await world.registry.addLock(order({ role: 'gateway' }), by).done
  assert.deepEqual(admitted(), [false, false])
  const roles = new Map([['pump-1', ['gateway']]])
  world.registry.locks.judgeBy({ rolesOf: ({ id }) => roles.get(id) ?? [], hasQuarantine: () => false })
  assert.deepEqual(admitted(), [false, true])
  const changes = follow(world.registry)
  roles.set('pump-2', ['sensor', 'gateway'])
  roles.delete('pump-1')
  assert.equal(world.registry.locks.policyChanged(), 2)
  assert.deepEqual(admitted(), [true, false])
  assert.deepEqual([changes.at(-1)?.locked, changes.at(-1)?.restored], [[other.deviceId], [device.deviceId]])
  const rolesOf = () => {
    throw new Error('a bug')
  }
  world.registry.locks.judgeBy({ rolesOf, hasQuarantine: () => false })
  assert.deepEqual(admitted(), [false, false])
})

test('for a lock on one device, and for its end, no other device is looked at', async () => {
  const world = await createWorld()
  const first = await joinByToken(world, 'key 1', 'pump-1')
  await joinByToken(world, 'key 2', 'pump-2')
  const asked: string[] = []
  const rolesOf = ({ id }: { readonly id: string }) => {
    asked.push(id)
    return []
  }
  world.registry.locks.judgeBy({ rolesOf, hasQuarantine: () => false })
  world.registry.addLock(order({ role: 'pump' }, { lock: parseLockId('on-a-role') }), by)
  const [instance] = world.registry.device(first.deviceId)?.instances ?? []
  assert.ok(instance)
  for (const target of [{ device: first.deviceId }, { instance }]) {
    asked.length = 0
    world.registry.addLock(order(target), by)
    assert.ok(world.registry.locks.keepsOut(first.deviceId))
    await world.registry.removeLock(parseLockId('one'), by)
    assert.ok(!world.registry.locks.keepsOut(first.deviceId))
    assert.deepEqual([...new Set(asked)], ['pump-1'])
  }
})

test('no certificate is issued to whom a lock is on: not at a join, not for the same key again, not at a renewal', async () => {
  const world = await createWorld()
  const device = await joinByToken(world, 'key 1', 'pump-1')
  await world.registry.promote(device)
  await world.registry.createToken(newToken(world, 'late', { device: parseDeviceId('pump-1') }), by)
  await world.registry.createToken(newToken(world, 'other'), by)
  world.registry.addLock(order({ device: device.deviceId }), by)
  const locked = { code: 'LOCKED' }
  await assert.rejects(renew(world, device, 'key 1'), locked)
  await assert.rejects(join(world, attested('key 9', { token: 'late' }), credential('late')), locked)

  const pending = await join(world, attested('key 5', { token: 'other' }), credential('other'))
  world.registry.addLock(order({ device: pending.deviceId }, { lock: parseLockId('two') }), by)
  assert.throws(() => world.registry.planEnrollment(attested('key 5', { token: 'other' }), credential('other')), locked)

  await world.registry.createToken(newToken(world, 'far'), by)
  const far = attested('key 6', { token: 'far' })
  world.registry.addLock(order({ addresses: '203.0.113.0/24' }, { lock: parseLockId('three') }), by)
  assert.throws(() => world.registry.planEnrollment(far, credential('far'), '203.0.113.7:40000'), locked)
  assert.equal(world.registry.planEnrollment(far, credential('far'), '198.51.100.7:40000').kind, 'issue')
  world.registry.addLock(order({ labels: { site: 'oslo' } }, { lock: parseLockId('four') }), by)
  assert.throws(() => world.registry.planEnrollment(far, credential('far')), locked)
})

test('a lock on an instance keeps out every join of the same TPM; one on its EK does so too', async () => {
  const world = await createWorld()
  await world.registry.createToken(newToken(world, 'tpm', { uses: 2 }), by)
  const device = await join(world, attested('key 1', { ek: 'a' }), credential('tpm'))
  const [instance] = world.registry.device(device.deviceId)?.instances ?? []
  assert.ok(instance)
  for (const target of [{ instance }, { ek: hash('ek a') }] as const) {
    world.registry.addLock(order(target), by)
    assert.throws(() => world.registry.planEnrollment(attested('key 2', { ek: 'a' })), { code: 'LOCKED' })
    await world.registry.removeLock(parseLockId('one'), by)
    assert.equal(world.registry.planEnrollment(attested('key 2', { ek: 'a' })).kind, 'issue')
  }
})

test('a lock acts before it returns and before anything is durable, and although nothing can be recorded', async () => {
  const world = await createWorld()
  const device = await joinByToken(world, 'key 1')
  const changes = follow(world.registry)
  world.audit.fail()
  const { recorded, done, devices, epoch } = world.registry.addLock(order({ labels: { site: 'oslo' } }), by)
  assert.deepEqual(world.registry.admit(device), { admitted: false, reason: 'locked', comment: 'one' })
  assert.deepEqual([changes.at(-1)?.locked, devices, epoch], [[device.deviceId], 1, 1])
  for (const outcome of [recorded, done]) await assert.rejects(outcome, { code: 'AUDIT_CLOSED' })
  await assert.rejects(world.registry.removeLock(parseLockId('one'), by), { code: 'AUDIT_CLOSED' })
  assert.equal(world.registry.admit(device).admitted, false, 'to open needs a record')
})

test('a lock goes on until its end is on the disk, whether it is removed or its time is over', async () => {
  const world = await createWorld()
  const { registry, audit } = world
  const device = await joinByToken(world, 'key 1')
  const isIn = () => registry.admit(device).admitted
  const changes = follow(registry)
  const ends = [() => registry.removeLock(parseLockId('one'), by), () => registry.expireLocks()]
  for (const end of ends) {
    await registry.addLock(order({ device: device.deviceId }, { notAfter: world.clock.now + hour }), by).done
    world.clock.now += hour
    audit.hold()
    const ended = end()
    registry.addLock(order({ labels: { site: 'nowhere' } }, { lock: parseLockId('between') }), by)
    assert.deepEqual([isIn(), registry.lock(parseLockId('one'))?.id, changes.at(-1)?.restored], [false, 'one', []])
    await assert.rejects(registry.removeLock(parseLockId('one'), by), { code: 'LOCK_UNKNOWN' }, 'it is ending')
    assert.throws(() => registry.planRenewal(device, { spkiHash: device.spkiHash }), { code: 'LOCKED' })
    audit.release()
    await ended
    assert.deepEqual(
      [isIn(), registry.lock(parseLockId('one')), changes.at(-1)?.restored],
      [true, undefined, [device.deviceId]],
    )
    await registry.removeLock(parseLockId('between'), by)
  }
  const places = changes.map(({ revision, after }) => [after, revision])
  assert.ok(
    places.slice(1).every(([after], at) => after === places[at]?.[1]),
    'each change names the one before it',
  )
  assert.deepEqual((await world.open()).allLocks(), [])
})

test('where the end of a lock cannot be recorded, the lock goes on', async () => {
  for (const fails of ['full', 'failed', 'store'] as const) {
    const world = await createWorld()
    const { audit } = world
    let isFull = false
    const append: typeof audit.append = (event) => {
      if (isFull) throw new FullError('AUDIT_FULL', 'not even the reserve has room')
      return audit.append(event)
    }
    const store: typeof world.store = {
      ...world.store,
      commit: async (changes) => {
        if (isFull) throw new FullError('STORE_FULL', 'no space left on device')
        return world.store.commit(changes)
      },
    }
    const registry = await world.open({
      ...(fails === 'full' && { audit: { ...audit, append } }),
      ...(fails === 'store' && { store }),
    })
    const device = await joinByToken({ ...world, registry }, 'key 1')
    await registry.addLock(order({ device: device.deviceId }, { notAfter: world.clock.now + hour }), by).done
    world.clock.now += hour
    isFull = true
    if (fails === 'failed') audit.fail()
    await assert.rejects(registry.removeLock(parseLockId('one'), by))
    await registry.expireLocks().catch(() => undefined)
    assert.equal(registry.admit(device).admitted, false, fails)
    assert.deepEqual(
      registry.allLocks().map(({ id }) => id),
      ['one'],
    )
    isFull = false
    if (fails !== 'full') continue
    await registry.removeLock(parseLockId('one'), by)
    assert.ok(registry.admit(device).admitted, 'there is room again')
  }
})

test('locks survive a restart, from the store as from the log alone, and revisions go on', async () => {
  const world = await createWorld()
  const device = await joinByToken(world, 'key 1')
  const { done } = world.registry.addLock(order({ labels: { site: 'oslo' } }), by)
  await done
  const fromStore = await world.open()
  const fromLog = await world.open({ store: (await createWorld()).store })
  for (const reopened of [fromStore, fromLog]) {
    assert.deepEqual(reopened.allLocks(), world.registry.allLocks())
    assert.deepEqual(reopened.admit(device), { admitted: false, reason: 'locked', comment: 'one' })
    const [whole] = follow(reopened)
    assert.deepEqual([whole?.locked, whole?.revision], [[device.deviceId], 1])
  }
  await fromStore.removeLock(parseLockId('one'), by)
  assert.deepEqual((await world.open()).allLocks(), [])
})

test('a stored lock that cannot be read lets nothing start', async () => {
  const world = await createWorld()
  await world.registry.addLock(order({ device: parseDeviceId('pump-1') }), by).done
  const row = new TextEncoder().encode('{"id":"one","target":"everybody:"}')
  await world.store.commit({ puts: [['registry/lock/one', row]] })
  await assert.rejects(world.open(), { code: 'REGISTRY_CORRUPT' })
})

test('a lock ends when its time is over by the clock, and a clock that is set forward ends none', async () => {
  const world = await createWorld()
  let elapsed = 0
  const registry = await world.open({ elapsed: () => elapsed })
  const device = await joinByToken({ ...world, registry }, 'key 1')
  registry.addLock(order({ device: device.deviceId }, { notAfter: world.clock.now + hour }), by)

  world.clock.now += 2 * hour // set forward
  await registry.expireLocks()
  assert.equal(registry.admit(device).admitted, false)
  world.clock.now -= 3 * hour // set back, and then the time passes
  elapsed += hour
  await registry.expireLocks()
  assert.equal(registry.admit(device).admitted, false)
  world.clock.now += 2 * hour
  await registry.expireLocks()
  assert.ok(registry.admit(device).admitted)
  assert.equal(world.audit.records.at(-1)?.event, 'lock.expire')
  assert.deepEqual(registry.allLocks(), [])
})

test('a lock ends once, however slow the disk and however often somebody looks meanwhile', async () => {
  const world = await createWorld()
  const locks = ['one', 'two', 'three'].map(parseLockId)
  const target = { device: parseDeviceId('pump-1') }
  for (const lock of locks)
    await world.registry.addLock(order(target, { lock, notAfter: world.clock.now + hour }), by).done
  world.clock.now += hour
  world.audit.hold()
  const looks = [world.registry.expireLocks(), world.registry.expireLocks()]
  const removed = world.registry.removeLock(parseLockId('three'), by)
  world.audit.release()
  await Promise.all([...looks, removed])
  const ended = world.audit.records.flatMap((record) => (record.event === 'lock.expire' ? [record.lock] : []))
  assert.deepEqual(ended, ['one', 'two'])
})

test('mode revoke revokes for good what it is on now, and keeps out what comes under it later', async () => {
  const world = await createWorld()
  const first = await joinByToken(world, 'key 1')
  const later = await joinByToken(world, 'key 2')
  await world.registry.labelDevice(later.deviceId, { site: 'bergen' }, by)
  const { done, devices } = world.registry.addLock(order({ labels: { site: 'oslo' } }, { mode: 'revoke' }), by)
  await done
  assert.equal(devices, 1)
  await world.registry.labelDevice(later.deviceId, { site: 'oslo' }, by)
  assert.deepEqual(world.registry.admit(later), { admitted: false, reason: 'locked', comment: 'one' })
  await world.registry.removeLock(parseLockId('one'), by)
  assert.deepEqual(world.registry.admit(first), { admitted: false, reason: 'revoked' })
  assert.ok(world.registry.admit(later).admitted)
  const record = world.audit.records.find(({ event }) => event === 'device.revoke')
  assert.ok(record?.event === 'device.revoke' && record.lock === 'one' && record.comment === 'a test')
})

test('what is no lock is refused, and changes nothing', async () => {
  const world = await createWorld()
  const before = world.audit.records.length
  const refused = (wrong: Parameters<Registry['addLock']>[0], code: string) =>
    assert.throws(() => world.registry.addLock(wrong, by), { code })
  refused(order({ labels: {} }), 'INVALID_ID')
  refused(
    order({ labels: Object.fromEntries(Array.from({ length: 32 }, (_, n) => [`${n}`.repeat(32), 'x'.repeat(64)])) }),
    'INVALID_MESSAGE',
  )
  for (const addresses of ['192.0.2.0/33', '999.0.0.1', '::/129', '1.2']) refused(order({ addresses }), 'LOCK_INVALID')
  refused(order({ addresses: 'everywhere' }), 'INVALID_MESSAGE')
  refused(order({ addresses: '192.0.2.1' }, { mode: 'revoke' }), 'LOCK_INVALID')
  refused(order({ device: parseDeviceId('a') }, { notAfter: world.clock.now }), 'LOCK_INVALID')
  await assert.rejects(world.registry.removeLock(parseLockId('none'), by), { code: 'LOCK_UNKNOWN' })
  assert.equal(world.audit.records.length, before)
  for (let at = 0; at < 256; at++) world.registry.addLock(order({ role: 'x' }, { lock: parseLockId(`l${at}`) }), by)
  refused(order({ labels: { site: 'oslo' } }), 'LOCK_INVALID')
  world.registry.addLock(order({ device: parseDeviceId('a') }), by)
  assert.equal(world.registry.locks.progress(0).outstanding.length, 0)
})

test('a broker that fails to apply a change is named as outstanding, and the others have applied it', async () => {
  const world = await createWorld()
  const device = await joinByToken(world, 'key 1')
  world.registry.locks.follow('broken', (change, { applied }) => {
    if (change.revision > 0) throw new Error('a bug of the broker')
    applied(change.revision, { sessions: 0, purged: 0 })
  })
  follow(world.registry)
  const { epoch } = world.registry.addLock(order({ device: device.deviceId }), by)
  assert.deepEqual(world.registry.locks.progress(epoch), { sessions: 1, purged: 0, outstanding: ['broken'] })
})

/** A broker that ends a session for each device; what it was told. */
function follow(registry: Registry): readonly LockChange[] {
  const changes: LockChange[] = []
  registry.locks.follow('test', (change, { applied }) => {
    changes.push(change)
    applied(change.revision, { sessions: change.locked.length, purged: 0 })
  })
  return changes
}
