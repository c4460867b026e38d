import assert from 'node:assert/strict'
import test from 'node:test'
import { parseProfileName, type TpmJoinRequest } from '#protocol'
import {
  type AttributeName,
  decodeAttest,
  decodePublic,
  encodeAttest,
  encodePublic,
  qualifyingData,
  type TpmPublic,
  toSpki,
} from '#tpm'
import { trustDomain } from '../ca/world.js'
import { profile } from '../registry/world.js'
import { bitFlipped, cutOrExtended, isRefusal, variants } from './hostile-evidence.js'
import {
  createEnrollmentWorld,
  evidenceOf,
  newChannel,
  openDevice,
  pcrPolicyOf,
  quoteOf,
  softwareKey,
} from './world.js'

const profiles = [{}, { name: parseProfileName('measured') }]
const pcrPolicies = [pcrPolicyOf([0, 7], { profiles: [parseProfileName('measured')] })]

/** A device, evidence that is good, and the way to send it changed. */
async function createEvidence(t: test.TestContext) {
  const world = await createEnrollmentWorld(t, { profiles, pcrPolicies })
  const device = await openDevice(await world.openTpm())
  const channel = newChannel()
  const good = await evidenceOf(device, { channel: channel.exporter })
  const send = (change: Partial<TpmJoinRequest> = {}, over = channel) =>
    world.enrollment.beginTpmJoin({ ...good, ...change }, over)
  return { world, device, channel, good, send }
}

function withAttributes(area: Uint8Array, change: Partial<Record<AttributeName, boolean>>): Uint8Array {
  const decoded = decodePublic(area)
  return encodePublic({ ...decoded, attributes: { ...decoded.attributes, ...change } })
}

function without<Name extends keyof TpmPublic>(area: Uint8Array, name: Name): Uint8Array {
  const { [name]: _, ...rest } = decodePublic(area)
  return encodePublic(rest as TpmPublic)
}

test('good evidence is challenged', async (t) => {
  const { send } = await createEvidence(t)
  assert.ok((await send()).cookie.length > 0)
})

test('evidence of another connection, service, profile or key is stale', async (t) => {
  const { world, device, good, send } = await createEvidence(t)
  await assert.rejects(send({}, newChannel()), { code: 'CERTIFY_STALE' })
  await assert.rejects(send({ profile: parseProfileName('measured') }), { code: 'CERTIFY_STALE' })
  await assert.rejects(send({ profile: parseProfileName('unheard-of') }), { code: 'PROFILE_UNKNOWN' })
  const other = await evidenceOf(await openDevice(device.tpm), { channel: newChannel().exporter })
  await assert.rejects(send({ keyPublic: other.keyPublic, csr: other.csr }), { code: 'CERTIFY_STALE' })
  await assert.rejects(send({ certify: other.certify }), { code: 'CERTIFY_STALE' })
  const elsewhere = await createEnrollmentWorld(t)
  const theirs = await evidenceOf(device, { channel: new Uint8Array(32) })
  await assert.rejects(elsewhere.enrollment.beginTpmJoin(good, newChannel()), { code: 'CERTIFY_STALE' })
  await assert.rejects(world.enrollment.beginTpmJoin(theirs, newChannel()), { code: 'CERTIFY_STALE' })
})

test('a certify of another key under the right qualifying data is refused', async (t) => {
  const { device, channel, good, send } = await createEvidence(t)
  const other = await openDevice(device.tpm)
  const spki = toSpki(decodePublic(good.keyPublic))
  const data = qualifyingData({ binding: 'exporter', channel: channel.exporter, trustDomain, spki, profile })
  const certify = await device.tpm.certify(other.key, device.ak, data)
  await assert.rejects(send({ certify }), { code: 'CERTIFY_KEY_MISMATCH' })
})

test('a CSR for another key, or none, is refused', async (t) => {
  const { send } = await createEvidence(t)
  await assert.rejects(send({ csr: (await softwareKey()).csr }), { code: 'CSR_KEY_MISMATCH' })
  await assert.rejects(send({ csr: new Uint8Array() }), { code: 'CSR_INVALID' })
})

test('an EK that could sign, leave its TPM, or is of no template is refused', async (t) => {
  const { good, send } = await createEvidence(t)
  const changes = [
    { restricted: false },
    { decrypt: false },
    { sign: true },
    { fixedTPM: false },
    { fixedParent: false },
  ]
  for (const change of changes) {
    await assert.rejects(send({ ekPublic: withAttributes(good.ekPublic, change) }), { code: 'EK_UNSUITABLE' })
  }
  const decoded = decodePublic(good.ekPublic)
  for (const change of [{ symmetricBits: 256 }, { nameAlg: 'sha384', authPolicy: new Uint8Array(48) }] as const) {
    await assert.rejects(send({ ekPublic: encodePublic({ ...decoded, ...change }) }), { code: 'EK_UNSUITABLE' })
  }
})

test('an EK whose certificate is another’s is refused', async (t) => {
  const { world, send } = await createEvidence(t)
  const other = await openDevice(await world.openTpm())
  await assert.rejects(send({ ekCertificates: other.ek.certificates }), { code: 'EK_CERTIFICATE_MISMATCH' })
  await assert.rejects(send({ ekCertificates: [] }), { code: 'EK_CERTIFICATE_MISSING' })
  await assert.rejects(send({ ekCertificates: [new Uint8Array(100)] }), { code: 'EK_CERTIFICATE_INVALID' })
})

test('an AK that is not restricted, may leave its TPM or is bound to no scheme is refused', async (t) => {
  const { good, send } = await createEvidence(t)
  const changes = [
    { restricted: false },
    { sign: false },
    { decrypt: true },
    { fixedTPM: false },
    { fixedParent: false },
    { sensitiveDataOrigin: false },
    { encryptedDuplication: true },
  ]
  for (const change of changes) {
    await assert.rejects(send({ akPublic: withAttributes(good.akPublic, change) }), { code: 'AK_UNSUITABLE' })
  }
  await assert.rejects(send({ akPublic: without(good.akPublic, 'scheme') }), { code: 'AK_UNSUITABLE' })
})

test('a TLS key that is restricted, may leave its TPM or was not made there is refused', async (t) => {
  const { good, send } = await createEvidence(t)
  const changes = [
    { restricted: true },
    { sign: false },
    { decrypt: true },
    { fixedTPM: false },
    { fixedParent: false },
  ]
  for (const change of [...changes, { sensitiveDataOrigin: false }, { encryptedDuplication: true }]) {
    await assert.rejects(send({ keyPublic: withAttributes(good.keyPublic, change) }), { code: 'KEY_UNSUITABLE' })
  }
  await assert.rejects(send({ keyPublic: without(good.keyPublic, 'scheme') }), { code: 'KEY_UNSUITABLE' })
})

test('an attestation by another AK, changed after signing, or of the other kind is refused', async (t) => {
  const { world, device, good, send } = await createEvidence(t)
  const other = await openDevice(await world.openTpm())
  await assert.rejects(send({ akPublic: other.ak.public }), { code: 'AK_HIERARCHY_INVALID' })
  const decoded = decodeAttest(good.certify.attest)
  const later = encodeAttest({ ...decoded, clockInfo: { ...decoded.clockInfo, resetCount: 99 } })
  await assert.rejects(send({ certify: { ...good.certify, attest: later } }), { code: 'CERTIFY_SIGNATURE_INVALID' })
  const quote = await quoteOf(device, decoded.extraData, [0])
  await assert.rejects(send({ certify: quote }), { code: 'CERTIFY_INVALID' })
  await assert.rejects(send({ quote: { ...quote, ...good.certify } }), { code: 'QUOTE_INVALID' })
})

test('an AK outside the endorsement hierarchy is refused', async (t) => {
  const { good, send } = await createEvidence(t)
  const decoded = decodeAttest(good.certify.attest)
  const moved = encodeAttest({
    ...decoded,
    qualifiedSigner: Uint8Array.from(decoded.qualifiedSigner, (byte) => byte ^ 1),
  })
  await assert.rejects(send({ certify: { ...good.certify, attest: moved } }), { code: 'AK_HIERARCHY_INVALID' })
})

test('a profile that measures asks for exactly its PCRs, with values that it names', async (t) => {
  const { world, device, channel } = await createEvidence(t)
  const measured = parseProfileName('measured')
  const evidence = (pcrs?: readonly number[]) =>
    evidenceOf(device, { channel: channel.exporter, profile: measured, ...(pcrs && { pcrs }) })
  const send = (request: TpmJoinRequest) => world.enrollment.beginTpmJoin(request, channel)

  assert.ok(await send(await evidence([0, 7])))
  await assert.rejects(send(await evidence()), { code: 'QUOTE_MISSING' })
  for (const pcrs of [[0], [7], [0, 1, 7], [0, 8]]) {
    await assert.rejects(send(await evidence(pcrs)), { code: 'PCR_SELECTION_MISMATCH' })
  }
  const good = await evidence([0, 7])
  const { quote = assert.fail() } = good
  const other = Uint8Array.from(Buffer.from('11'.repeat(32), 'hex'))
  const claimed = { ...quote, pcrs: { sha256: { ...quote.pcrs.sha256, 7: other } } }
  await assert.rejects(send({ ...good, quote: claimed }), { code: 'PCR_DIGEST_MISMATCH' })
  const unsigned = { ...quote, signature: good.certify.signature }
  await assert.rejects(send({ ...good, quote: unsigned }), { code: 'QUOTE_SIGNATURE_INVALID' })
  const stale = await quoteOf(device, new Uint8Array(32), [0, 7])
  await assert.rejects(send({ ...good, quote: stale }), { code: 'QUOTE_STALE' })

  const strange = await createEnrollmentWorld(t, {
    pcrPolicies: [pcrPolicyOf([0], { pcrs: new Map([[0, [{ value: 'ab'.repeat(32) }]]]) })],
  })
  const elsewhere = await openDevice(await strange.openTpm())
  const unexpected = await evidenceOf(elsewhere, { channel: channel.exporter, pcrs: [0] })
  await assert.rejects(strange.enrollment.beginTpmJoin(unexpected, channel), { code: 'PCR_MISMATCH' })
})

test('evidence that is cut at any byte, or has one byte more, ends in a coded error', async (t) => {
  const { good, send } = await createEvidence(t)
  const parts = ['ekPublic', 'akPublic', 'keyPublic', 'csr'] as const
  for (const [name, hostile] of variants(good, parts, cutOrExtended)) {
    await assert.rejects(send(hostile), isRefusal(name))
  }
})

test('evidence with any one byte flipped ends in a coded error', async (t) => {
  const { good, send } = await createEvidence(t)
  const parts = ['ekPublic', 'akPublic', 'keyPublic', 'csr'] as const
  for (const [name, hostile] of variants(good, parts, bitFlipped)) {
    await assert.rejects(send(hostile), isRefusal(name))
  }
})
