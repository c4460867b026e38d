import assert from 'node:assert/strict'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { createCertificate, createKeyPair, decodePem, oids, spkiOf, verifyPath } from '#x509'
import { readKnownMakers } from '../../server/tpm-makers.js'
import { decodeCertificate } from '../../x509/certificate.js'
import { PathSearch } from '../../x509/path-search.js'
import { hasRocaFingerprint } from '../../x509/roca.js'
import { rocaModulus } from './roca-key.js'
import { deviceSpec, makeRoot, now } from './world.js'

/*
 * Certificates of real TPMs; tests/data/ek/PROVENANCE.tsv says where each was published. All of them, maker by maker, are
 * in tests/enrollment/real-endorsement-keys.test.ts.
 */

const folder = 'tests/data/ek'
const at = new Date('2026-11-23T00:00:00Z')
const makers = readKnownMakers(['GOOG', 'IFX'])
const swtpm = (file: string) => read(join('ca/swtpm-0.7.1', file))
const anchors = [...makers.flatMap(({ roots }) => roots), swtpm('swtpm-localca-rootca-cert.pem')]
const intermediates = [...makers.flatMap((maker) => maker.intermediates), swtpm('issuercert.pem')]

test('an EK certificate without extended key usage needs its maker’s exception', () => {
  const leaf = read('ek/go-tpm-tools/pca_tpm_ecc_enc_cert-0dd713251f14.der')
  const request = { leaf, intermediates, anchors, at, purpose: 'ek' } as const
  assert.throws(() => verifyPath(request), { code: 'PURPOSE_MISMATCH' })
  assert.equal(verifyPath({ ...request, ekUsageOptional: true }).path.length, 3)
})

test('the certificate of a TPM’s signing key does not pass for an EK certificate', () => {
  for (const file of ['uca_tpm_rsa_sign_cert-d2ec0b0aa415.der', 'pca_tpm_rsa_sign_cert-d7e02731b81e.der']) {
    const leaf = read(join('ek/go-tpm-tools', file))
    const request = { leaf, intermediates, anchors, at, purpose: 'ek', ekUsageOptional: true } as const
    assert.throws(() => verifyPath(request), { code: 'PURPOSE_MISMATCH' })
  }
})

test('an EK certificate is no client certificate', () => {
  const leaf = read('ek/swtpm-0.7.1/ek-secp384r1.der')
  assert.throws(() => verifyPath({ leaf, intermediates, anchors, at, purpose: 'device' }), { code: 'PURPOSE_MISMATCH' })
})

test('an EK certificate with one bit changed leads nowhere', () => {
  const leaf = Uint8Array.from(read('ek/swtpm-0.7.1/ek-secp384r1.der'))
  leaf[leaf.length - 1] = (leaf.at(-1) ?? 0) ^ 1
  assert.throws(() => verifyPath({ leaf, intermediates, anchors, at, purpose: 'ek' }), { code: 'SIGNATURE_INVALID' })
})

test('an authority whose name is written as another string type below it is found', () => {
  const [ecc] = readKnownMakers(['STM'])
    .flatMap((maker) => maker.intermediates)
    .filter((der) => new X509Certificate(der).subject.endsWith('STM TPM ECC384 Intermediate CA 01'))
  const root = readKnownMakers(['STM'])
    .flatMap(({ roots }) => roots)
    .find((der) => new X509Certificate(der).subject.endsWith('STM TPM ECC Root CA 01'))
  assert.ok(ecc && root)
  const [below, above] = [decodeCertificate(ecc), decodeCertificate(root)]
  assert.notDeepEqual(below.issuer, above.subject)
  const search = new PathSearch({ anchors: [root], intermediates: [] }, { at, purpose: 'ek' })
  assert.equal(search.extend([below]).length, 2)
})

test('a link signed with SHA-1 does not hold', async () => {
  const root = await makeRoot()
  const spki = spkiOf(createKeyPair('P-256').publicKey)
  const spec = deviceSpec('ek', { spki, keyUsage: ['keyAgreement'], extKeyUsage: [oids.ekCertificate] })
  const good = Buffer.from(await createCertificate(spec, root))
  const ecdsaWithSha384 = Buffer.from('06082a8648ce3d040303', 'hex')
  const ecdsaWithSha1 = Buffer.from('06082a8648ce3d040103', 'hex')
  const leaf = Buffer.from(good.toString('latin1').replaceAll(latin1(ecdsaWithSha384), latin1(ecdsaWithSha1)), 'latin1')
  const request = { leaf, intermediates: [], anchors: [root.certificate], at: now, purpose: 'ek' } as const
  assert.throws(() => verifyPath(request), { code: 'SIGNATURE_UNSUPPORTED' })
})

test('a key with the ROCA fingerprint is refused, real and sound keys are not', async () => {
  const spki = spkiOf(createPublicKey({ key: { kty: 'RSA', e: 'AQAB', n: rocaModulus() }, format: 'jwk' }))
  const root = await makeRoot()
  const spec = deviceSpec('ek', { spki, keyUsage: ['keyEncipherment'], extKeyUsage: [oids.ekCertificate] })
  const leaf = await createCertificate(spec, root)
  const request = { leaf, intermediates: [], anchors: [root.certificate], at: now, purpose: 'ek' } as const
  assert.throws(() => verifyPath(request), { code: 'KEY_WEAK' })
  const sound = read('ek/keylime/tpm2_objects_test-234480e4f236.der')
  assert.equal(verifyPath({ leaf: sound, intermediates, anchors, at, purpose: 'ek' }).path.length, 3)
  assert.equal(hasRocaFingerprint(createKeyPair('P-256').publicKey), false)
})

function latin1(bytes: Buffer): string {
  return bytes.toString('latin1')
}

function read(file: string): Uint8Array {
  const bytes = readFileSync(join(folder, file))
  const [pem] = decodePem(bytes.toString('latin1'), 'CERTIFICATE')
  return pem ?? new Uint8Array(bytes)
}
