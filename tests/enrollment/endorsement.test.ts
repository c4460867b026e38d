import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Enrollment } from '#enrollment'
import { createEkAuthority } from '#simulators'
import { decodePublic, toSpki } from '#tpm'
import { createCertificate, createKeyPair, type Extension, type Issuer, oids, spkiOf } from '#x509'
import { EkTrust } from '../../enrollment/ek-trust.js'
import { contextTag } from '../../x509/der-reader.js'
import { der, oid, sequence } from '../../x509/der-writer.js'
import { deviceSpec, makeIssuing, makeRoot, now } from '../x509/world.js'
import { createEnrollmentWorld, type Device, joinWithTpm, makeToken, openDevice, refusals } from './world.js'

/*
 * Who may vouch for a TPM, and the reason of each refusal, for the sender and for the log.
 */

const day = 24 * 60 * 60 * 1000

test('each way in which nobody vouches for a TPM has a reason of its own', async (t) => {
  const world = await createWorldWithMaker(t)
  const device = await openDevice(await world.openTpm())
  const foreign = await createEkAuthority({ folder: join(world.folder, 'foreign'), now: world.now })
  const own = createKeyPair('P-256')
  const at = world.now()
  const cases = {
    EK_MAKER_UNKNOWN: [await foreign.issue(spkiIn(device))],
    EK_CERTIFICATE_SELF_SIGNED: [await ekCertificate(spkiOf(own.publicKey), own, at)],
    EK_CERTIFICATE_EXPIRED: [await ekCertificate(spkiIn(device), world.maker, at - 60 * day)],
    EK_CERTIFICATE_INVALID: [Uint8Array.from([...(device.ek.certificates[0] ?? []), 0])],
    EK_CERTIFICATE_MISMATCH: [await ekCertificate(spkiOf(own.publicKey), world.maker, at)],
    EK_CERTIFICATE_MISSING: [],
  }
  for (const [code, certificates] of Object.entries(cases)) {
    const { text } = await makeToken(world)
    await assert.rejects(joinWithTpm(world, withCertificates(device, certificates), text), { code })
  }
  assert.deepEqual(refusals(world), Object.keys(cases))
})

test('one that is not valid yet is as good as expired', async (t) => {
  const world = await createWorldWithMaker(t)
  const device = await openDevice(await world.openTpm())
  const early = [await ekCertificate(spkiIn(device), world.maker, world.now() + 60 * day)]
  await assert.rejects(joinWithTpm(world, withCertificates(device, early)), { code: 'EK_CERTIFICATE_EXPIRED' })
})

test('what is forgiven one maker is forgiven nobody else', async () => {
  const [strict, lenient] = [await makeRoot(), await makeRoot({ subject: [{ type: oids.commonName, value: 'other' }] })]
  const trust = new EkTrust([
    { id: 'STRICT', roots: [strict.certificate], intermediates: [] },
    { id: 'LENIENT', roots: [lenient.certificate], intermediates: [], habits: { ekUsageMissing: true } },
  ])
  const bare = { keyUsage: ['keyAgreement'], extKeyUsage: [], certificatePolicies: [] } as const
  const verify = (leaf: Uint8Array) => trust.verify(leaf, [], now)
  verify(await createCertificate(deviceSpec('ek', bare), lenient))
  const unnamed = await createCertificate(deviceSpec('ek', bare), strict)
  assert.throws(() => verify(unnamed), { code: 'PURPOSE_MISMATCH' })
  verify(await createCertificate(deviceSpec('ek', { ...bare, extKeyUsage: [oids.ekCertificate] }), strict))
  const wrong = await createCertificate(deviceSpec('ek', { ...bare, extKeyUsage: [oids.clientAuth] }), lenient)
  assert.throws(() => verify(wrong), { code: 'PURPOSE_MISMATCH' })
})

test('a maker’s expired authority vouches for chips of its time only where that is said of this maker', async () => {
  const over = new Date('2026-02-20T00:00:00Z')
  const root = await makeRoot()
  const issuing = await makeIssuing(root, { notAfter: over, authority: {} })
  const maker = { id: 'OLD', roots: [root.certificate], intermediates: [issuing.certificate] }
  const patient = new EkTrust([{ ...maker, habits: { expiredAuthorities: true } }])
  const chip = (notBefore: string) => {
    const usage = { keyUsage: ['keyAgreement'], extKeyUsage: [oids.ekCertificate] } as const
    const life = { notBefore: new Date(notBefore), notAfter: new Date('9999-12-31T23:59:59Z') }
    return createCertificate(deviceSpec('ek', { ...usage, ...life }), issuing)
  }
  const old = await chip('2026-02-10T00:00:00Z')
  patient.verify(old, [], now)
  assert.throws(() => new EkTrust([maker]).verify(old, [], now), { code: 'EXPIRED' })
  const later = await chip('2026-02-21T00:00:00Z')
  assert.throws(() => patient.verify(later, [], now), { code: 'EXPIRED' })
})

test('a chain that the TPM carries leads to its root, in any order, and beside certificates that lead nowhere', async (t) => {
  const world = await createWorldWithMaker(t)
  const device = await openDevice(await world.openTpm())
  const ca = await makeIssuing(world.maker, { ...validAt(world.now()), authority: {} })
  const leaf = await ekCertificate(spkiIn(device), ca, world.now())
  const stray = (await makeRoot()).certificate
  const { text } = await makeToken(world)
  const alone = joinWithTpm(world, withCertificates(device, [leaf]), text)
  await assert.rejects(alone, { code: 'EK_MAKER_UNKNOWN' })
  const certificates = [leaf, stray, Uint8Array.of(0x30, 0), ca.certificate]
  assert.match((await joinWithTpm(world, withCertificates(device, certificates), text)).deviceId, /^tpm-/)
})

test('no address in a certificate is asked for anything: not of the issuer, not of its revocation list', async (t) => {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.end()
  })
  server.on('connection', () => asked.push('connection'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo

  const world = await createWorldWithMaker(t)
  const device = await openDevice(await world.openTpm())
  const ca = await makeIssuing(world.maker, { ...validAt(world.now()), authority: {} })
  const leaf = await ekCertificate(spkiIn(device), ca, world.now(), [
    authorityInfoAccess(`http://127.0.0.1:${port}/ca.crt`),
    crlDistributionPoints(`http://127.0.0.1:${port}/ca.crl`),
  ])
  const { text } = await makeToken(world)
  const alone = joinWithTpm(world, withCertificates(device, [leaf]), text)
  await assert.rejects(alone, { code: 'EK_MAKER_UNKNOWN' })
  await joinWithTpm(world, withCertificates(device, [leaf, ca.certificate]), text)
  assert.deepEqual(asked, [])
})

test('without any maker, every certificate is that of an unknown one', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  const enrollment = new Enrollment({ ...world.options, ekMakers: [] })
  t.after(() => enrollment.close())
  await assert.rejects(joinWithTpm({ ...world, enrollment }, device), { code: 'EK_MAKER_UNKNOWN' })
})

/** An enrollment that also trusts a maker whose key the test has. */
async function createWorldWithMaker(t: TestContext) {
  const world = await createEnrollmentWorld(t)
  const maker = await makeRoot()
  const ekMakers = [...world.options.ekMakers, { id: 'TEST', roots: [maker.certificate], intermediates: [] }]
  const enrollment = new Enrollment({ ...world.options, ekMakers })
  t.after(() => enrollment.close())
  return { ...world, maker, enrollment }
}

function ekCertificate(spki: Uint8Array, issuer: Issuer, at: number, extensions: readonly Extension[] = []) {
  const usage = { keyUsage: ['keyAgreement'], extKeyUsage: [oids.ekCertificate] } as const
  return createCertificate(deviceSpec('ek', { spki, ...usage, ...validAt(at), extensions }), issuer)
}

/** RFC 5280 §4.2.2.1: where the issuer's certificate lies. */
function authorityInfoAccess(address: string): Extension {
  const caIssuers = sequence(oid('1.3.6.1.5.5.7.48.2'), uri(address))
  return { oid: '1.3.6.1.5.5.7.1.1', critical: false, der: sequence(caIssuers) }
}

/** RFC 5280 §4.2.1.13: where the revocation list lies. */
function crlDistributionPoints(address: string): Extension {
  const tag = contextTag(0, 'constructed')
  return { oid: '2.5.29.31', critical: false, der: sequence(sequence(der(tag, der(tag, uri(address))))) }
}

function uri(address: string): Uint8Array {
  return der(contextTag(6, 'primitive'), Buffer.from(address))
}

function spkiIn({ ek }: Device): Uint8Array {
  return toSpki(decodePublic(ek.public))
}

function withCertificates(device: Device, certificates: readonly Uint8Array[]): Device {
  return { ...device, ek: { ...device.ek, certificates } }
}

function validAt(at: number) {
  return { notBefore: new Date(at - day), notAfter: new Date(at + 30 * day) }
}
