import assert from 'node:assert/strict'
import test from 'node:test'
import { parseOperatorName, parseProfileName } from '#protocol'
import { closeDoors } from '../../server/backup/closed-doors.js'
import { by, createWorld, credential, hash, hour, joinByToken, newToken } from '../registry/world.js'

test('after a restore no open token, operator or invitation opens anything; what was spent or over stays as it is', async () => {
  const world = await createWorld()
  const device = await joinByToken(world, 'key') // spends its token
  await world.registry.createToken(newToken(world, 'open', { uses: 9 }), by)
  const id = newToken(world, 'invitation').token
  const whom = parseOperatorName('carol')
  const invitation = {
    id,
    secretHash: hash('secret'),
    whom,
    ttlSeconds: 60,
    at: world.now(),
    notAfter: world.now() + hour,
  }
  await world.registry.operators.invite(invitation, by)

  const closed = await closeDoors(world.registry, { revoked: [], profiles: [], reason: undefined })
  assert.deepEqual(closed, { tokens: 1, operators: ['ada', 'carol'], devices: [], locks: [] })
  assert.throws(() => world.registry.requireToken(credential('open')), { code: 'TOKEN_REVOKED' })
  assert.deepEqual(world.registry.operators.invitations(), [])
  assert.ok(world.registry.admit(device).admitted)
})

test('where a reason is given every profile is locked that a device has or that is configured, until the lock is removed', async () => {
  const world = await createWorld()
  const device = await joinByToken(world, 'key')
  const { locks } = await closeDoors(world.registry, {
    revoked: [],
    profiles: ['plant', 'default'],
    reason: 'restored',
  })
  assert.deepEqual(
    locks.map(({ profile }) => profile),
    ['default', 'plant'].map(parseProfileName),
  )
  assert.equal(world.registry.admit(device).admitted, false)
  for (const { lock } of locks) await world.registry.removeLock(lock, by)
  assert.ok(world.registry.admit(device).admitted)
})
