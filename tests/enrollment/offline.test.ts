import assert from 'node:assert/strict'
import test from 'node:test'
import { encodePem, readDeviceIdentity } from '#x509'
import { verifyPresented } from '../../enrollment/presented.js'
import { createCaWorld, trustDomain } from '../ca/world.js'
import { by, hour } from '../registry/world.js'
import { createEnrollmentWorld, derOf, makeToken, newChannel, refusals, softwareKey } from './world.js'

const day = 24 * hour

async function joined(world: Parameters<typeof makeToken>[0]) {
  const { text } = await makeToken(world)
  const { csr } = await softwareKey()
  const der = derOf(await world.enrollment.joinWithToken(text, { csr }, newChannel()))
  await world.registry.promote(readDeviceIdentity(der, trustDomain))
  return der
}

test('a device that was away for weeks renews with the certificate that is over, and waits for an operator', async (t) => {
  const world = await createEnrollmentWorld(t)
  const shown = await joined(world)
  world.clock.now += 20 * day
  const { csr } = await softwareKey()
  const back = derOf(await world.enrollment.renew(shown, { csr }, newChannel()))
  const identity = readDeviceIdentity(back, trustDomain)
  const [lock] = world.registry.allLocks()
  assert.ok(lock?.mode === 'quarantine' && 'instance' in lock.target)
  await world.registry.removeLock(lock.id, by)
  assert.ok(world.registry.admit(identity).admitted)
  assert.deepEqual(refusals(world), [])
})

test('the issuing CA that signed it may be over too, and replaced more than once', async (t) => {
  const world = await createEnrollmentWorld(t, {
    profiles: [{ offline: { mostMilliseconds: 300 * day, recover: 'trust' } }],
  })
  const shown = await joined(world)
  for (const wait of [70, 70, 70]) {
    world.clock.now += wait * day
    await world.ca.renewIssuing()
  }
  const { csr } = await softwareKey()
  const answer = await world.enrollment.renew(shown, { csr }, newChannel())
  assert.equal(answer.deviceId, readDeviceIdentity(shown, trustDomain).deviceId)
  assert.ok(!answer.chain.includes(encodePem('CERTIFICATE', world.ca.signers.at(-1)?.der ?? new Uint8Array())))
})

test('case 86: a leaf of another CA by the same names is forged also when it is over, and so is one for servers', async (t) => {
  const world = await createEnrollmentWorld(t)
  const other = await createEnrollmentWorld(t)
  const forged = await joined(other)
  const { notAfter } = readDeviceIdentity(forged, trustDomain)
  const at = (days: number) => ({ notAfter: notAfter.getTime(), now: world.clock.now + days * day })
  for (const days of [0, 5]) {
    verifyPresented(other.ca, forged, at(days))
    assert.throws(() => verifyPresented(world.ca, forged, at(days)), { code: 'RENEWAL_REFUSED' })
  }
  const { ca } = world
  const server = await ca.issueServer(['hub.example'])
  const [leaf] = server.chainPem.split(/(?<=-----END CERTIFICATE-----\n)/)
  const der = Buffer.from((leaf ?? '').replace(/-----[^-]+-----|\n/g, ''), 'base64')
  assert.throws(() => verifyPresented(ca, der, at(0)), { code: 'RENEWAL_REFUSED' })
})

test('case 86: with the stolen key of the CA nothing is forged that renews, live or over', async (t) => {
  const world = await createEnrollmentWorld(t)
  const stolen = await createCaWorld(t)
  const ca = await stolen.openCa({ directory: world.directory })
  const thief = { ...world, registry: stolen.registry, ca }
  const { Enrollment } = await import('#enrollment')
  const forging = new Enrollment({ ...world.options, ca, registry: stolen.registry })
  const forged = await joined({ ...thief, enrollment: forging })
  const { csr } = await softwareKey()
  for (const away of [0, 5 * day]) {
    world.clock.now += away
    await assert.rejects(world.enrollment.renew(forged, { csr }, newChannel()), { code: 'RENEWAL_REFUSED' })
  }
  assert.ok(refusals(world).every((reason) => reason === 'UNKNOWN_CERTIFICATE'))
})
