import assert from 'node:assert/strict'
import { createHash, createPublicKey, randomBytes, verify, X509Certificate } from 'node:crypto'
import test from 'node:test'
import { TpmError } from './errors.js'
import { makeCredential } from './secrets/credential.js'
import { decodeAttest } from './structures/attest.js'
import { nameOf, qualifiedNameOf } from './structures/names.js'
import { pcrDigest } from './structures/pcrs.js'
import { decodePublic } from './structures/public-area.js'
import { verifySignature } from './structures/signature.js'
import { toSpki } from './structures/spki.js'
import type { EkTemplateName, Tpm } from './tpm.js'

/** One TPM of its own, and another that must not be able to use the first one's keys. */
export interface TpmUnderTest {
  readonly tpm: Tpm
  readonly foreign: Tpm
  /** The templates for which `tpm` holds certificates. */
  readonly templates: readonly EkTemplateName[]
}

/** What every `Tpm` promises. Each is held against the service's own checks, so that both sides mean the same. */
export function testTpm(title: string, options: { skip?: string }, open: () => TpmUnderTest): void {
  const check = (name: string, body: (under: TpmUnderTest) => Promise<void>): void => {
    test(`${title}: ${name}`, options, () => body(open()))
  }
  const qualifyingData = randomBytes(32)

  check('lists the templates that it holds an EK certificate for', async ({ tpm, templates }) => {
    assert.deepEqual(await tpm.endorsementKeyTemplates(), templates)
  })

  check('says what chip it is', async ({ tpm }) => {
    const { manufacturer, firmware, inLockout } = await tpm.chip()
    assert.match(manufacturer, /^[ -~]{1,4}$/)
    assert.match(firmware, /^[\d.]+$/)
    assert.equal(inLockout, false)
  })

  check('gives each EK with a certificate of the same key', async ({ tpm, templates }) => {
    for (const template of templates) {
      const ek = await tpm.endorsementKey(template)
      const area = decodePublic(ek.public)
      const { restricted, decrypt, sign, fixedTPM, fixedParent } = area.attributes
      assert.deepEqual(
        { restricted, decrypt, sign, fixedTPM, fixedParent },
        { restricted: true, decrypt: true, sign: false, fixedTPM: true, fixedParent: true },
      )
      const [own] = ek.certificates
      assert.ok(own)
      const certified = new X509Certificate(own).publicKey.export({ type: 'spki', format: 'der' })
      assert.deepEqual(Buffer.from(toSpki(area)), certified)
      assert.deepEqual((await tpm.endorsementKey(template)).public, ek.public)
    }
  })

  check('gives the same attestation key at every call, restricted and bound to a scheme', async ({ tpm, foreign }) => {
    const first = await tpm.attestationKey()
    assert.deepEqual((await tpm.attestationKey()).public, first.public)
    assert.notDeepEqual((await foreign.attestationKey()).public, first.public)
    const area = decodePublic(first.public)
    const { restricted, sign, decrypt, sensitiveDataOrigin } = area.attributes
    assert.deepEqual(
      { restricted, sign, decrypt, sensitiveDataOrigin },
      { restricted: true, sign: true, decrypt: false, sensitiveDataOrigin: true },
    )
    assert.deepEqual(area.scheme, { name: 'ecdsa', hash: 'sha256' })
  })

  check('makes a signing key, loads it, and signs so that the public key verifies it', async ({ tpm }) => {
    const stored = await tpm.createSigningKey()
    const key = await tpm.loadSigningKey(stored)
    assert.deepEqual(key.public, stored.public)
    const data = Buffer.from('to be signed')
    const signature = await tpm.sign(key, createHash('sha256').update(data).digest())
    const spki = Buffer.from(toSpki(decodePublic(key.public)))
    assert.ok(verify('sha256', data, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signature))
  })

  check('refuses to sign outside data with the restricted attestation key', async ({ tpm }) => {
    const digest = createHash('sha256').update('forged').digest()
    await assert.rejects(tpm.sign(await tpm.attestationKey(), digest), failed)
  })

  check('refuses a signing key of another TPM, and one that was changed', async ({ tpm, foreign }) => {
    await assert.rejects(tpm.loadSigningKey(await foreign.createSigningKey()), failed)
    const stored = await tpm.createSigningKey()
    const changed = Uint8Array.from(stored.private)
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
    await assert.rejects(tpm.loadSigningKey({ ...stored, private: changed }), failed)
    const other = await tpm.createSigningKey()
    await assert.rejects(tpm.loadSigningKey({ ...stored, public: other.public }), failed)
  })

  check('certifies a key: name, freshness, signer and signature are as the service computes them', async ({ tpm }) => {
    const signer = await tpm.attestationKey()
    const key = await tpm.loadSigningKey(await tpm.createSigningKey())
    const { attest, signature } = await tpm.certify(key, signer, qualifyingData)
    const signerArea = decodePublic(signer.public)
    verifySignature(signerArea, attest, signature)
    const decoded = decodeAttest(attest)
    assert.equal(decoded.type, 'certify')
    assert.deepEqual(decoded.name, nameOf(decodePublic(key.public)))
    assert.deepEqual(Buffer.from(decoded.extraData), qualifyingData)
    assert.deepEqual(decoded.qualifiedSigner, qualifiedNameOf(signerArea, 'endorsement'))
    assert.ok(decoded.clockInfo.resetCount > 0)
  })

  check('certifies no key of another TPM, and signs with none', async ({ tpm, foreign }) => {
    const signer = await tpm.attestationKey()
    const key = await foreign.loadSigningKey(await foreign.createSigningKey())
    await assert.rejects(tpm.certify(key, signer, qualifyingData), failed)
    await assert.rejects(tpm.certify(signer, key, qualifyingData), failed)
    await assert.rejects(tpm.sign(key, createHash('sha256').update('data').digest()), failed)
  })

  check('quotes PCRs: selection and digest match the values that come with it', async ({ tpm }) => {
    const signer = await tpm.attestationKey()
    const pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 14]
    const { attest, signature, pcrs: values } = await tpm.quote(signer, qualifyingData, pcrs)
    verifySignature(decodePublic(signer.public), attest, signature)
    const decoded = decodeAttest(attest)
    assert.equal(decoded.type, 'quote')
    assert.deepEqual(decoded.pcrSelections, [{ hash: 'sha256', pcrs }])
    assert.deepEqual(
      [...values.keys()].sort((left, right) => left - right),
      pcrs,
    )
    assert.deepEqual(decoded.pcrDigest, pcrDigest(values, 'sha256'))
    assert.deepEqual(Buffer.from(decoded.extraData), qualifyingData)
  })

  check('activates a credential that the service made for its EK and AK', async ({ tpm, templates }) => {
    const ak = await tpm.attestationKey()
    for (const template of templates) {
      const ek = await tpm.endorsementKey(template)
      const secret = randomBytes(32)
      const credential = makeCredential({ ekPublic: decodePublic(ek.public) }, nameOf(decodePublic(ak.public)), secret)
      assert.deepEqual(Buffer.from(await tpm.activateCredential(ak, ek, credential)), secret)
    }
  })

  check(
    'refuses a credential for another key or another TPM, and goes on working',
    async ({ tpm, foreign, templates }) => {
      const ak = await tpm.attestationKey()
      const akName = nameOf(decodePublic(ak.public))
      const key = await tpm.loadSigningKey(await tpm.createSigningKey())
      for (const template of templates) {
        const ek = await tpm.endorsementKey(template)
        const ekPublic = decodePublic(ek.public)
        const forKey = makeCredential({ ekPublic }, nameOf(decodePublic(key.public)), randomBytes(32))
        await assert.rejects(tpm.activateCredential(ak, ek, forKey), failed)
        const foreignEk = decodePublic((await foreign.endorsementKey(template)).public)
        const forForeign = makeCredential({ ekPublic: foreignEk }, akName, randomBytes(32))
        await assert.rejects(tpm.activateCredential(ak, ek, forForeign), failed)
        const secret = randomBytes(20)
        const good = makeCredential({ ekPublic }, akName, secret)
        assert.deepEqual(Buffer.from(await tpm.activateCredential(ak, ek, good)), secret)
      }
    },
  )

  check('serves calls that overlap', async ({ tpm }) => {
    const keys = await Promise.all([1, 2, 3].map(async () => tpm.loadSigningKey(await tpm.createSigningKey())))
    const signer = await tpm.attestationKey()
    const attestations = await Promise.all(keys.map((key) => tpm.certify(key, signer, qualifyingData)))
    for (const { attest, signature } of attestations) verifySignature(decodePublic(signer.public), attest, signature)
  })
}

function failed(error: unknown): boolean {
  return error instanceof TpmError && error.code === 'TPM_COMMAND_FAILED'
}
