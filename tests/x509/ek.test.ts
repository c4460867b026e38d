import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { createCertificate, createKeyPair, decodePem, oids, spkiOf, verifyPath } from '#x509'
import { hasRocaFingerprint } from '../../x509/roca.js'
import { deviceSpec, makeRoot, now } from './world.js'

/*
 * Certificates of real TPMs and their makers; tests/data/ek/PROVENANCE.tsv says where each was published.
 */

const folder = 'tests/data/ek'
const at = new Date('2026-11-23T00:00:00Z')
const cas = readdirSync(join(folder, 'ca'), { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.(pem|crt|cer)$/.test(file))
  .map((file) => ({ file, der: read(join('ca', file)) }))
const roots = /RT\.|root|NUVO/
const anchors = cas.filter(({ file }) => roots.test(file)).map(({ der }) => der)
const intermediates = cas.filter(({ file }) => !roots.test(file)).map(({ der }) => der)

for (const [maker, file, length] of [
  ['Intel', 'crypto/ek_test-5cf52f89de39.der', 3],
  ['Nuvoton', 'go-attestation/challenge_test-934a0f83d605.der', 2],
  ['Google (vTPM, RSA)', 'go-tpm-tools/uca_tpm_rsa_enc_cert-af614aee3b3d.der', 3],
  ['Infineon (RSA)', 'keylime/tpm2_objects_test-234480e4f236.der', 3],
  ['Infineon (ECC)', 'keylime/tpm2_objects_test-dfd310e73a14.der', 3],
  ['swtpm (RSA)', 'swtpm-0.7.1/ek-rsa2048.der', 3],
  ['swtpm (P-384)', 'swtpm-0.7.1/ek-secp384r1.der', 3],
] as const) {
  test(`an EK certificate of ${maker} leads to its maker’s root`, () => {
    const leaf = read(join('ek', file))
    assert.equal(verifyPath({ leaf, intermediates, anchors, at, purpose: 'ek' }).path.length, length)
    assert.throws(() => verifyPath({ leaf, intermediates, anchors: [], at, purpose: 'ek' }), { code: 'ISSUER_UNKNOWN' })
  })
}

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

/** A 2,048-bit number of the faulty library's form: 65537^c modulo the product of the first 126 primes, plus a multiple. */
function rocaModulus(): string {
  const primes: bigint[] = []
  for (let n = 2n; primes.length < 126; n++) if (primes.every((prime) => n % prime !== 0n)) primes.push(n)
  const product = primes.reduce((a, b) => a * b)
  let power = 1n
  for (let step = 0; step < 12345; step++) power = (power * 65537n) % product
  const modulus = (1n << 2047n) - ((1n << 2047n) % product) + product + power
  return Buffer.from(modulus.toString(16).padStart(512, '0'), 'hex').toString('base64url')
}

function latin1(bytes: Buffer): string {
  return bytes.toString('latin1')
}

function read(file: string): Uint8Array {
  const bytes = readFileSync(join(folder, file))
  const [pem] = decodePem(bytes.toString('latin1'), 'CERTIFICATE')
  return pem ?? new Uint8Array(bytes)
}
