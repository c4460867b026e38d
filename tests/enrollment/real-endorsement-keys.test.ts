import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { decodePem, X509Error } from '#x509'
import type { EkMaker } from '#enrollment'
import { EkTrust } from '../../enrollment/ek-trust.js'
import { readKnownMakers, tpmMakerIds } from '../../server/tpm-makers.js'
import { decodeCertificate } from '../../x509/certificate.js'

/*
 * Every real EK certificate that we could find, against the authorities that come with the package. Where each was
 * published, and under which licence, says tests/data/ek/PROVENANCE.tsv.
 */

const folder = 'tests/data/ek'
const at = new Date('2026-11-23T00:00:00Z')
const makers = [...readKnownMakers(tpmMakerIds), swtpm()]

/**
 * File → the maker that vouches for it, or the reason for which nobody does. Those for signing (`…_sign_cert…`) are no
 * endorsement keys; the TCG's examples were valid for a year, and their CA is nobody's.
 */
const expected: Readonly<Record<string, string>> = {
  'crypto/ek_test-5cf52f89de39.der': 'INTC',
  'go-attestation/challenge_test-934a0f83d605.der': 'NTC',
  'go-tpm-tools/pca_tpm_ecc_enc_cert-0dd713251f14.der': 'GOOG',
  'go-tpm-tools/pca_tpm_ecc_sign_cert-25a5373d22d3.der': 'PURPOSE_MISMATCH',
  'go-tpm-tools/pca_tpm_rsa_enc_cert-2df7967ae856.der': 'GOOG',
  'go-tpm-tools/pca_tpm_rsa_sign_cert-d7e02731b81e.der': 'PURPOSE_MISMATCH',
  'go-tpm-tools/uca_tpm_ecc_enc_cert-9fdd7997e134.der': 'GOOG',
  'go-tpm-tools/uca_tpm_ecc_sign_cert-9c49baf0285c.der': 'PURPOSE_MISMATCH',
  'go-tpm-tools/uca_tpm_rsa_enc_cert-af614aee3b3d.der': 'GOOG',
  'go-tpm-tools/uca_tpm_rsa_sign_cert-d2ec0b0aa415.der': 'PURPOSE_MISMATCH',
  'keylime/test_certificate_modeltype-933cdb174526.der': 'NTC',
  'keylime/tpm2_objects_test-234480e4f236.der': 'IFX',
  'keylime/tpm2_objects_test-dfd310e73a14.der': 'IFX',
  'swtpm-0.7.1/ek-rsa2048.der': 'swtpm',
  'swtpm-0.7.1/ek-secp256r1.der': 'swtpm',
  'swtpm-0.7.1/ek-secp384r1.der': 'swtpm',
  'tcg-spec-examples/tcg-example-nonuser-device.der': 'EXPIRED',
  'tcg-spec-examples/tcg-example-user-device.der': 'EXPIRED',
}

for (const [file, outcome] of Object.entries(expected)) {
  test(`EK certificate ${file}: ${outcome}`, () => {
    const leaf = read(join(folder, 'ek', file))
    assert.ok(decodeCertificate(leaf).spki.length > 0)
    assert.ok(new X509Certificate(leaf).publicKey)
    assert.equal(outcomeOf(leaf, makers), outcome)
  })
}

test('there is an outcome for every certificate of the folder, and for no other', () => {
  const files = readdirSync(join(folder, 'ek'), { recursive: true, encoding: 'utf8' })
  assert.deepEqual(Object.keys(expected).sort(), files.filter((file) => file.endsWith('.der')).sort())
})

test('without its maker each is refused as that of an unknown one', () => {
  for (const [file, outcome] of Object.entries(expected)) {
    const others = makers.filter(({ id }) => id !== outcome)
    if (others.length === makers.length) continue
    const lacksUsage = file.startsWith('go-tpm-tools/pca') // forgiven its maker alone
    const reason = lacksUsage ? 'PURPOSE_MISMATCH' : 'ISSUER_UNKNOWN'
    assert.equal(reasonAgainst(read(join(folder, 'ek', file)), others), reason, file)
  }
})

test('each certificate of the folder is in the table of where it is from', () => {
  const rows = readFileSync(join(folder, 'PROVENANCE.tsv'), 'utf8').trim().split('\n').slice(1)
  const listed = rows.map((row) => row.split('\t'))
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(der|pem|crt|cer)$/.test(file),
  )
  assert.deepEqual(listed.map(([file]) => file).sort(), files.sort())
  for (const [file, repository, , path, licence] of listed) assert.ok(repository && path && licence, file)
})

/** By the maker alone that vouches for it, so that one's leniency cannot hide what another lacks. */
function outcomeOf(leaf: Uint8Array, among: readonly EkMaker[]): string {
  const vouching = among.find((maker) => reasonAgainst(leaf, [maker]) === undefined)
  return vouching?.id ?? reasonAgainst(leaf, among) ?? assert.fail('vouched for by all together only')
}

function reasonAgainst(leaf: Uint8Array, among: readonly EkMaker[]): string | undefined {
  try {
    new EkTrust(among).verify(leaf, [], at)
    return undefined
  } catch (error) {
    assert.ok(error instanceof X509Error)
    return error.code
  }
}

/** The authority of the swtpm that made those of its certificates: no maker that anybody else should trust. */
function swtpm(): EkMaker {
  const file = (name: string) => [read(join(folder, 'ca', 'swtpm-0.7.1', name))]
  return { id: 'swtpm', roots: file('swtpm-localca-rootca-cert.pem'), intermediates: file('issuercert.pem') }
}

function read(file: string): Uint8Array {
  const bytes = readFileSync(file)
  const [pem] = decodePem(bytes.toString('latin1'), 'CERTIFICATE')
  return pem ?? new Uint8Array(bytes)
}
