import assert from 'node:assert/strict'
import test from 'node:test'
import { type OperatorFacts, parseOperatorName, parseTokenId } from '#protocol'
import { createMemoryStore } from '#store'
import { by, certificateFor, createWorld, hash, hour } from './world.js'

const bob = parseOperatorName('bob')
type World = Awaited<ReturnType<typeof createWorld>>

test('people, invitations and what was revoked are the same after a start, from the store and from the log alone', async () => {
  const world = await createWorld()
  const { operators } = world.registry
  await invite(world, 'i1')
  await invite(world, 'i2')
  await operators.record({ ...certificate(world, 'a'), invitation: parseTokenId('i1') })
  await operators.record(certificate(world, 'b'))
  await operators.record(certificate(world, 'c'))
  await operators.revoke(bob, hash('b'), by).done
  for (const again of [await world.open(), await world.open({ store: createMemoryStore() })]) {
    assert.deepEqual(again.operators.invitations(), operators.invitations())
    assert.deepEqual(
      again.operators
        .certificates()
        .map(({ fingerprint }) => fingerprint)
        .toSorted(),
      [hash('a'), hash('c')].toSorted(),
    )
  }
})

test('what is over is forgotten when another comes, so that years of short lives leave nothing behind', async () => {
  const world = await createWorld()
  const { operators } = world.registry
  for (let day = 0; day < 40; day++) {
    await operators.record(certificate(world, `day ${day}`))
    await invite(world, `day${day}`)
    world.clock.now += 25 * hour
  }
  assert.deepEqual([operators.certificates(), operators.invitations()], [[], []])
  const stored: string[] = []
  for await (const [key] of world.store.entries('registry/')) stored.push(key)
  assert.equal(stored.filter((key) => /^registry\/(operator|invitation)\//.test(key)).length, 2)
})

test('an invitation that is used, over, or of another secret lets nobody in', async () => {
  const world = await createWorld()
  const { operators } = world.registry
  const ask =
    (id: string, secretHash = hash('secret')) =>
    () =>
      operators.requireInvitation({ id: parseTokenId(id), secretHash })
  await invite(world, 'i1')
  await invite(world, 'i2')
  assert.equal(ask('i1')().whom, bob)
  assert.throws(ask('i1', hash('other')), { code: 'INVITATION_MISMATCH' })
  const issued = { ...certificate(world, 'a'), invitation: parseTokenId('i1') }
  await operators.record(issued)
  assert.throws(ask('i1'), { code: 'INVITATION_UNKNOWN' })
  await assert.rejects(operators.record(issued), { code: 'INVITATION_UNKNOWN' })
  world.clock.now += hour
  assert.throws(ask('i2'), { code: 'INVITATION_EXPIRED' })
})

test('what follows a certificate is recorded only while that one is good, and nothing is signed beyond the limit', async () => {
  const world = await createWorld()
  const { operators } = world.registry
  const shown = certificate(world, 'a')
  await operators.record(shown)
  const following = (name: string) => ({ ...certificate(world, name), presentedSerial: shown.serial })
  await operators.record(following('b'))
  const revoked = operators.revoke(bob, shown.fingerprint, by).done
  await assert.rejects(operators.record(following('c')), { code: 'UNKNOWN_CERTIFICATE' })
  await revoked
  const stranger = { ...following('d'), operator: parseOperatorName('carol') }
  await assert.rejects(operators.record(stranger), { code: 'UNKNOWN_CERTIFICATE' })
  for (let more = 0; more < 15; more++) await operators.record(certificate(world, `more ${more}`))
  assert.throws(() => operators.requireRoom(bob), { code: 'OPERATOR_LIMIT' })
})

test('who is thrown out takes what invites him and the invitations that he made with him, and no other', async () => {
  const world = await createWorld()
  const { operators } = world.registry
  const carol = parseOperatorName('carol')
  await invite(world, 'for-him')
  await invite(world, 'by-him', carol, { ...by, operator: bob })
  await invite(world, 'by-another', carol)
  assert.deepEqual(operators.endsWith(bob), { certificates: 0, invitations: 2 })
  await operators.revoke(bob, undefined, by).done
  for (const again of [operators, (await world.open({ store: createMemoryStore() })).operators]) {
    assert.deepEqual(
      again.invitations().map(({ id }) => id),
      ['by-another'],
    )
  }
})

function certificate(world: World, name: string) {
  const { spkiHash: _, tier: __, ...facts } = certificateFor(world, hash(name))
  return { ...facts, fingerprint: hash(name), operator: bob }
}

function invite(world: World, id: string, whom = bob, inviter: OperatorFacts = by): Promise<void> {
  const terms = { whom, ttlSeconds: 3600, secretHash: hash('secret') }
  const at = world.clock.now
  return world.registry.operators.invite({ id: parseTokenId(id), ...terms, at, notAfter: at + hour }, inviter)
}
