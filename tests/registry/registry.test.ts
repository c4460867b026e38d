import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId } from '#protocol'
import { createMemoryStore, type Store } from '#store'
import { RegistryState } from '../../registry/state.js'
import { catchUp } from '../../registry/catch-up.js'
import {
  attested,
  by,
  certificateFor,
  createWorld,
  credential,
  fromLog,
  FullError,
  hash,
  hour,
  join,
  joinByToken,
  newToken,
  register,
  renew,
  type World,
} from './world.js'

test('admits by the whole certificate, never by its serial number, and not after its end', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  const admission = world.registry.admit(identity)
  assert.ok(admission.admitted && admission.state === 'pending' && admission.device.id === identity.deviceId)
  const forged = { ...identity, fingerprint: hash('signed with the stolen CA key') }
  assert.deepEqual(world.registry.admit(forged), { admitted: false, reason: 'unknown_certificate' })
  const asOther = { ...identity, deviceId: parseDeviceId('pump-2') }
  assert.deepEqual(world.registry.admit(asOther), { admitted: false, reason: 'unknown_certificate' })
  world.clock.now += 24 * hour
  assert.deepEqual(world.registry.admit(identity), { admitted: false, reason: 'expired' })
})

test('the first use makes a certificate current, once', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  await Promise.all([world.registry.promote(identity, '192.0.2.7'), world.registry.promote(identity, '192.0.2.7')])
  assert.equal(world.audit.records.filter(({ event }) => event === 'device.promote').length, 1)
  const admission = world.registry.admit(identity)
  assert.ok(admission.admitted && admission.state === 'current')
})

test('a previous certificate is refused and cannot be promoted back', async () => {
  const world = await createWorld()
  const old = await joinByToken(world, 'key 1')
  await world.registry.promote(old)
  await world.registry.promote(await renew(world, old, 'key 2'))
  assert.deepEqual(world.registry.admit(old), { admitted: false, reason: 'previous' })
  await assert.rejects(world.registry.promote(old), { code: 'CONFLICT' })
})

test('the first use of a certificate is told at once; by then another instance of the device opens nothing', async () => {
  const world = await createWorld()
  const old = await joinByToken(world, 'key 1', 'pump-7')
  await world.registry.promote(old)
  const rejoined = await joinByToken(world, 'key 2', 'pump-7')
  const told: unknown[] = []
  world.registry.onChange(({ kind, device }) => told.push([kind, device, world.registry.admit(old)]))
  const done = world.registry.promote(rejoined)
  assert.deepEqual(told, [['promoted', old.deviceId, { admitted: false, reason: 'superseded' }]])
  await done
  await world.registry.promote(rejoined)
  assert.equal(told.length, 1)
})

test('nothing resolves before log and store hold it, and the store waits for the log', async () => {
  const world = await createWorld()
  world.audit.hold()
  let done = false
  const created = world.registry.createToken(newToken(world, 'one'), by).then(() => (done = true))
  await new Promise(setImmediate)
  assert.equal(done, false)
  assert.equal(await world.store.get('registry/applied'), undefined)
  world.audit.release()
  await created
  assert.notEqual(await world.store.get('registry/applied'), undefined)
})

test('a revocation acts before it returns and before anything is durable', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  const told: string[] = []
  world.registry.onChange(({ kind, device }) => told.push(`${kind} ${device}`))
  world.audit.hold()
  const { done, epoch } = world.registry.revokeDevice(identity.deviceId, { ...by, reason: 'keyCompromise' })
  assert.deepEqual(told, [`revoked ${identity.deviceId}`])
  assert.deepEqual(world.registry.admit(identity), { admitted: false, reason: 'revoked' })
  assert.equal(epoch, 1)
  world.audit.release()
  await done
  const device = world.registry.device(identity.deviceId)
  assert.ok(device?.state === 'revoked' && device.revocation.by === by.operator)
})

test('a revocation acts although a listener fails, and is recorded', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  world.registry.onChange(() => {
    throw new Error('a bug of the listener')
  })
  assert.throws(() => world.registry.revokeDevice(identity.deviceId, { ...by, reason: 'keyCompromise' }), /a bug/)
  await world.registry.settled()
  assert.equal(world.audit.records.at(-1)?.event, 'device.revoke')
})

test('a revocation that finds the audit log full is recorded as soon as there is room', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  let full = true
  const registry = await world.open({
    audit: {
      ...world.audit,
      get durable() {
        return world.audit.durable
      },
      append(event) {
        if (full) throw new FullError('AUDIT_FULL', 'too many records wait for the disk')
        return world.audit.append(event)
      },
    },
  })
  const { done } = registry.revokeDevice(identity.deviceId, { ...by, reason: 'keyCompromise' })
  assert.deepEqual(registry.admit(identity), { admitted: false, reason: 'revoked' })
  full = false
  world.audit.append({ event: 'server.stop' }) // one that was waiting gets to the disk
  await done
  assert.equal(world.audit.records.at(-1)?.event, 'device.revoke')
  assert.equal((await world.open()).device(identity.deviceId)?.state, 'revoked')
})

test('case 58: a revocation acts although the audit log takes nothing any more, and says that it is not recorded', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  world.audit.fail()
  const { done, recorded } = world.registry.revokeDevice(identity.deviceId, { ...by, reason: 'keyCompromise' })
  assert.deepEqual(world.registry.admit(identity), { admitted: false, reason: 'revoked' })
  for (const outcome of [recorded, done]) await assert.rejects(outcome, { code: 'AUDIT_CLOSED' })
})

test('when the log takes nothing any more, nothing else changes', async () => {
  const world = await createWorld()
  world.audit.fail()
  await assert.rejects(world.registry.createToken(newToken(world, 'one'), by), { code: 'AUDIT_CLOSED' })
  assert.deepEqual(world.registry.tokens(), [])
})

test('a renewal whose second half the log does not take fails as a whole, and ends no process', async () => {
  const world = await createWorld()
  const first = await joinByToken(world, 'key 1')
  const registry = await world.open({
    audit: {
      ...world.audit,
      durable: world.audit.durable,
      append(event) {
        const sequence = world.audit.append(event)
        world.audit.fail()
        return sequence
      },
    },
  })
  await assert.rejects(renew({ ...world, registry }, first, 'key 2'))
  await assert.rejects(registry.settled(), { code: 'REGISTRY_FAILED' })
})

test('case 58: after the store has failed once no change is accepted, but revocations act', async () => {
  const world = await createWorld()
  const registry = await world.open({ store: failingAfter(world.store, 3) })
  const identity = await joinByToken({ ...world, registry }, 'key 1')
  await registry.createToken(newToken(world, 'two'), by)
  await assert.rejects(registry.createToken(newToken(world, 'three'), by), { code: 'REGISTRY_FAILED' })
  await assert.rejects(registry.createToken(newToken(world, 'four'), by), { code: 'REGISTRY_FAILED' })
  await assert.rejects(registry.settled(), { code: 'REGISTRY_FAILED' })
  const { done } = registry.revokeDevice(identity.deviceId, { ...by, reason: 'unspecified' })
  assert.deepEqual(registry.admit(identity), { admitted: false, reason: 'revoked' })
  await assert.rejects(done, { code: 'REGISTRY_FAILED' })
})

test('changes that wait together share a commit and keep their order', async () => {
  const world = await createWorld()
  let commits = 0
  const registry = await world.open({
    store: {
      ...world.store,
      get: (key) => world.store.get(key),
      entries: (prefix) => world.store.entries(prefix),
      commit: (changes) => (commits++, world.store.commit(changes)),
      close: () => world.store.close(),
    },
  })
  await Promise.all(Array.from({ length: 100 }, (_, at) => registry.createToken(newToken(world, `t${at}`), by)))
  assert.ok(commits <= 3, `${commits} commits`)
  assert.equal((await world.open()).tokens().length, 100)
})

test('an operator is admitted by fingerprint until the certificate’s end', async () => {
  const world = await createWorld()
  const { spkiHash: _, tier: __, ...certificate } = certificateFor(world, hash('operator'))
  await world.registry.recordOperator({ ...certificate, operator: by.operator })
  assert.equal(world.registry.admitOperator(certificate.fingerprint), 'ada')
  assert.equal(world.registry.admitOperator(hash('another')), undefined)
  world.clock.now += 24 * hour
  assert.equal(world.registry.admitOperator(certificate.fingerprint), undefined)
})

test('an operator known from the log alone is found again in the store at the start after', async () => {
  const world = await createWorld()
  const { spkiHash: _, tier: __, ...certificate } = certificateFor(world, hash('operator'))
  await world.registry.recordOperator({ ...certificate, operator: by.operator })
  const store = createMemoryStore()
  await world.open({ store })
  const again = await world.open({ store })
  assert.equal(again.admitOperator(certificate.fingerprint), 'ada')
})

test('labels change at once and everyone hears of it', async () => {
  const world = await createWorld()
  const { deviceId } = await joinByToken(world, 'key 1')
  const told: string[] = []
  const stop = world.registry.onChange(({ kind }) => told.push(kind))
  const done = world.registry.labelDevice(deviceId, { site: 'bergen' }, by)
  assert.deepEqual(world.registry.device(deviceId)?.labels, { site: 'bergen' })
  stop()
  await done
  await world.registry.labelDevice(deviceId, {}, by)
  assert.deepEqual(told, ['labels'])
})

test('whatever happened, replay of the log and the stored rows give the same registry', async () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const world = await createWorld()
    await liveThrough(world, seed)
    await world.registry.settled()
    const { state: fromStore } = await catchUp(world.store, world.audit, world.replay)
    const { state: fromTheLog } = await catchUp(createMemoryStore(), world.audit, world.replay)
    assert.ok(fromStore.devices.size > 3)
    assert.deepEqual(rowsOf(fromStore), rowsOf(fromTheLog))
    assert.deepEqual(world.registry.devices().map(textOf).sort(), fromTheLog.devices.values().map(textOf).sort())
  }
})

test('what the log holds and the store does not is applied at the next start', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  // The process dies between the log and the store: from here on commits are lost.
  const registry = await world.open({ store: failingAfter(world.store, 0) })
  await assert.rejects(registry.promote(identity), { code: 'REGISTRY_FAILED' })
  const revoking = registry.revokeDevice(identity.deviceId, { ...by, reason: 'unspecified' })
  await assert.rejects(revoking.done)
  await revoking.recorded // the log is what counts
  assert.equal(world.audit.records.at(-1)?.event, 'device.revoke')

  const reopened = await world.open()
  assert.deepEqual(reopened.admit(identity), { admitted: false, reason: 'revoked' })
  assert.equal(reopened.revokeDevice(identity.deviceId, { ...by, reason: 'unspecified' }).epoch, 2)
})

test('a revocation has the same time live, in the store and in the log, although the record comes later', async () => {
  const world = await createWorld()
  let time = world.clock.now
  const registry = await world.open({ now: () => time++ })
  const { deviceId } = await joinByToken({ ...world, registry }, 'key 1')
  await registry.revokeDevice(deviceId, { ...by, reason: 'unspecified' }).done
  const { state: replayed } = await catchUp(createMemoryStore(), world.audit, world.replay)
  assert.deepEqual(replayed.devices.get(deviceId), registry.device(deviceId))
})

test('the log below a place can go once the store holds what it says', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  for (let messages = 0; messages < 100; messages++) world.audit.append({ event: 'server.stop' })
  await world.registry.readLogOnlyFrom(90)
  await world.registry.readLogOnlyFrom(50)
  let from = 0
  const replay = (asked: number) => world.replay((from = asked))
  const reopened = await world.open({ replay })
  assert.equal(from, 90)
  assert.equal(reopened.admit(identity).admitted, true)
})

test('the log below a place cannot go while the store has failed', async () => {
  const world = await createWorld()
  const registry = await world.open({ store: failingAfter(world.store, 0) })
  for (let messages = 0; messages < 100; messages++) world.audit.append({ event: 'server.stop' })
  await assert.rejects(registry.readLogOnlyFrom(90), { code: 'REGISTRY_FAILED' })
})

test('records that do not change the registry are read at one start only', async () => {
  const world = await createWorld()
  await joinByToken(world, 'key 1')
  for (let messages = 0; messages < 100; messages++) world.audit.append({ event: 'server.stop' })
  await world.audit.whenDurable(world.audit.records.length - 1)
  let from = 0
  const replay = (first: number) => world.replay((from = first))
  await world.open({ replay })
  await world.open({ replay })
  assert.equal(from, world.audit.records.length)
})

test('a store that is ahead of its log is not opened', async () => {
  const world = await createWorld()
  await joinByToken(world, 'key 1')
  const older = { ...world.audit, durable: 0, append: world.audit.append }
  await assert.rejects(world.open({ audit: older, replay: (from) => fromLog(world.audit.records.slice(0, 1), from) }), {
    code: 'REGISTRY_AHEAD_OF_LOG',
  })
})

test('a stored row that is not what was written, or of a table from the future, is not opened', async () => {
  for (const [key, value] of [
    ['registry/device/pump-1', '{"id":"pump-1"}'],
    ['registry/device/pump-1', 'not JSON'],
    ['registry/lock/7', '{}'],
  ] as const) {
    const world = await createWorld()
    await joinByToken(world, 'key 1')
    await world.store.commit({ puts: [[key, Buffer.from(value)]] })
    await assert.rejects(world.open(), { code: 'REGISTRY_CORRUPT' })
  }
})

test('a log whose events do not follow from each other is not opened', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  await world.registry.promote(identity)
  const withoutEnroll = world.audit.records.filter(({ event }) => event !== 'device.enroll')
  await assert.rejects(world.open({ store: createMemoryStore(), replay: () => fromLog(withoutEnroll, 0) }), {
    code: 'REGISTRY_CORRUPT',
  })
})

/** Some hundred acts of operators and devices, the same for the same seed; refusals are part of life. */
async function liveThrough(world: World, seed: number): Promise<void> {
  let state = seed
  const pick = (count: number) => (state = (state * 48271) % 2147483647) % count
  const identities = [await joinByToken(world, 'first key')]
  const acts = [
    async () =>
      void identities.push(await joinByToken(world, `key-${pick(40)}`, ['pump-1', 'pump-2', undefined][pick(3)])),
    async () => void (await register(world, `tpm-${pick(6)}`, `ek ${pick(6)}`)),
    async () => void identities.push(await join(world, attested(`key ${pick(20)}`, { ek: `ek ${pick(6)}` }))),
    async () => void identities.push(await renew(world, anIdentity(), `key ${pick(20)}`)),
    async () => world.registry.promote(anIdentity()),
    async () => world.registry.promote(identities.at(-1) ?? assert.fail()),
    async () => world.registry.labelDevice(anIdentity().deviceId, { site: `site-${pick(9)}` }, by),
    async () => world.registry.revokeToken(credential(`for-key-${pick(40)}`).id, by),
    async () => {
      if (pick(8) === 0) await world.registry.revokeDevice(anIdentity().deviceId, { ...by, reason: 'superseded' }).done
    },
    async () => void (world.clock.now += pick(7) * hour),
  ]
  const anIdentity = () => identities[pick(identities.length)] ?? assert.fail()
  for (let at = 0; at < 300; at++) {
    await (acts[pick(acts.length)] ?? assert.fail())().catch((error: unknown) => {
      if (!(error instanceof Error && ('code' in error || error.message.startsWith('expected a new')))) throw error
    })
  }
}

/** Every row as text, in order: maps that JSON made and maps that we made differ in their prototype only. */
function rowsOf(state: RegistryState): readonly string[] {
  const tables = [state.devices, state.instances, state.certificates, state.tokens, state.anchors, state.operators]
  return [`epoch ${state.epoch}`, ...tables.flatMap((table) => table.values().map(textOf)).sort()]
}

/** Fields in the order of their names, bytes as hex. */
function textOf(row: object): string {
  return JSON.stringify(row, (_, value: unknown) => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

function failingAfter(store: Store, commits: number): Store {
  let left = commits
  return {
    get: (key) => store.get(key),
    entries: (prefix) => store.entries(prefix),
    commit: async (changes) => {
      if (left-- <= 0) throw new Error('no space left on device')
      await store.commit(changes)
    },
    close: () => store.close(),
  }
}
