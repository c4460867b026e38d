import assert from 'node:assert/strict'
import test from 'node:test'
import { ClientCertificates, createCertificate, createKeyPair, readDeviceIdentity, spkiOf } from '#x509'
import { type Authority, dayLater, deviceSpec, makeIssuing, makeRoot, now, trustDomain } from './world.js'

const root = await makeRoot()
const issuing = await makeIssuing(root)

test('a certificate that comes again is read once', async () => {
  const { holderOf, reads } = readers()
  const leaf = await device()
  const first = holderOf(leaf)
  assert.equal(first.deviceId, 'pump-7')
  assert.equal(holderOf(Uint8Array.from(leaf)), first)
  assert.equal(reads(), 1)
})

test('who was let in an hour ago is expired all the same', async () => {
  const { holderOf, reads } = readers()
  const leaf = await device()
  holderOf(leaf)
  holderOf(leaf, { at: dayLater }) // its last moment
  assert.throws(() => holderOf(leaf, { at: after(dayLater) }), { code: 'EXPIRED' })
  assert.throws(() => holderOf(leaf, { at: new Date('2026-03-01T11:54:59Z') }), { code: 'NOT_YET_VALID' })
  assert.equal(reads(), 1)
})

test('a CA that expires takes with it whom it has vouched for before', async () => {
  const brief = new Date('2026-03-01T13:00:00Z')
  const briefRoot = await makeRoot({ notAfter: brief })
  const [ofBriefRoot, briefIssuing] = [await makeIssuing(briefRoot), await makeIssuing(root, { notAfter: brief })]
  for (const [anchor, issuer] of [
    [briefRoot, ofBriefRoot],
    [root, briefIssuing],
  ] as const) {
    const { holderOf } = readers()
    const leaf = await device({}, issuer)
    const trust = { intermediates: [issuer.certificate], anchors: [anchor.certificate] }
    holderOf(leaf, trust)
    assert.throws(() => holderOf(leaf, { ...trust, at: after(brief) }), { code: 'EXPIRED' })
  }
})

test('a CA that is taken out of trust takes with it whom it has vouched for before', async () => {
  const { holderOf } = readers()
  const leaf = await device()
  holderOf(leaf)
  const other = await makeRoot()
  assert.throws(() => holderOf(leaf, { intermediates: [] }), { code: 'ISSUER_UNKNOWN' })
  assert.throws(() => holderOf(leaf, { anchors: [] }), { code: 'ISSUER_UNKNOWN' })
  assert.throws(() => holderOf(leaf, { anchors: [other.certificate] }), { code: 'ISSUER_UNKNOWN' })
  // Neither is an intermediate an anchor for having been on the way to one.
  assert.throws(() => holderOf(leaf, { intermediates: [root.certificate], anchors: [] }), { code: 'ISSUER_UNKNOWN' })
  assert.equal(holderOf(leaf).deviceId, 'pump-7')
})

test('after a renewal of the CA, old certificates are good for as long as it is still among the trusted', async () => {
  const { holderOf, reads } = readers()
  const leaf = await device()
  const next = await makeIssuing(root)
  holderOf(leaf)
  holderOf(leaf, { intermediates: [next.certificate, issuing.certificate] })
  assert.equal(reads(), 1)
  assert.throws(() => holderOf(leaf, { intermediates: [next.certificate] }), { code: 'ISSUER_UNKNOWN' })
})

test('another certificate is never taken for one that is known, however alike they are', async () => {
  const { holderOf } = readers()
  const key = createKeyPair('P-256')
  const spki = spkiOf(key.publicKey)
  const leaf = await device({ spki })
  holderOf(leaf)
  const impostor = { privateKey: createKeyPair('P-256').privateKey, certificate: issuing.certificate }
  const forged = await device({ spki }, impostor)
  assert.throws(() => holderOf(forged), { code: 'SIGNATURE_INVALID' })
  const foreign = await device({ spki }, await makeIssuing(await makeRoot()))
  assert.throws(() => holderOf(foreign), { code: 'ISSUER_UNKNOWN' })
  assert.equal(holderOf(await createCertificate(deviceSpec('pump-8', { spki }), issuing)).deviceId, 'pump-8')
})

test('not one byte of what is known may change', async () => {
  const { holderOf, reads } = readers()
  const leaf = await device()
  holderOf(leaf)
  for (let at = 0; at < leaf.length; at++) {
    const changed = Uint8Array.from(leaf)
    changed[at] = (changed[at] ?? 0) ^ 0x01
    assert.throws(() => holderOf(changed), { name: 'X509Error' })
  }
  assert.equal(reads(), 1)
})

test('who was refused is not remembered as anything', async () => {
  const { holderOf } = readers()
  const leaf = await device()
  assert.throws(() => holderOf(leaf, { intermediates: [] }), { code: 'ISSUER_UNKNOWN' })
  assert.equal(holderOf(leaf).deviceId, 'pump-7')
  const operator = await createCertificate(
    deviceSpec('x', { subjectAltName: [{ uri: 'spiffe://fleet.example/x' }] }),
    issuing,
  )
  for (let attempt = 0; attempt < 2; attempt++) assert.throws(() => holderOf(operator), { code: 'IDENTITY_INVALID' })
})

test('of more certificates than it remembers, those that were verified first are verified anew', async () => {
  const { holderOf, reads } = readers({ maxRemembered: 2 })
  const [first, second, third] = [await device(), await device(), await device()]
  for (const leaf of [first, second, third, second, third]) holderOf(leaf)
  assert.equal(reads(), 3)
  holderOf(first)
  assert.equal(reads(), 4)
  holderOf(third)
  assert.equal(reads(), 4)
})

type Trust = Parameters<ClientCertificates<unknown>['holderOf']>[1]

/** Reads devices’ certificates, and counts how many. */
function readers(bounds: { readonly maxRemembered?: number } = {}) {
  let reads = 0
  const devices = new ClientCertificates((der) => {
    const identity = readDeviceIdentity(der, trustDomain)
    reads++
    return identity
  }, bounds)
  const trust = { intermediates: [issuing.certificate], anchors: [root.certificate], at: now }
  const holderOf = (leaf: Uint8Array, change: Partial<Trust> = {}) => devices.holderOf(leaf, { ...trust, ...change })
  return { holderOf, reads: () => reads }
}

function device(change: Parameters<typeof deviceSpec>[1] = {}, issuer: Authority = issuing): Promise<Uint8Array> {
  return createCertificate(deviceSpec('pump-7', change), issuer)
}

function after(time: Date): Date {
  return new Date(time.getTime() + 1)
}
