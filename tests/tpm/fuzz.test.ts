import assert from 'node:assert/strict'
import test from 'node:test'
import {
  decodeAttest,
  decodePublic,
  decodeSignature,
  encodeAttest,
  encodePublic,
  encodeSignature,
  makeCredential,
  nameOf,
  openCredential,
  TpmError,
} from '#tpm'
import { nonceBytes, Session } from '../../tpm/sessions/session.js'
import { splitCertificates } from '../../tpm/nv-certificates.js'
import { maxResponseBytes, type Transport } from '../../tpm/transport/transport.js'
import { sign } from '../../tpm/commands/attestation.js'
import { mutations } from './mutations.js'
import { answered } from './responses.js'
import { certifySample, eccEkSample, eccSample, ekSample, quoteSample, rsaSample } from './samples.js'

/*
 * More than 100,000 inputs that are nearly right, the same ones on every run: each is read as what it is or refused with a code.
 */

/** Much more than all that is read at a time, much less than what a size of four bytes can ask for. */
const maxGrowthBytes = 256 * 1024 * 1024

const structures: readonly { readonly bytes: Uint8Array; readonly again: (bytes: Uint8Array) => Uint8Array }[] = [
  ...[eccSample('P-256').area, eccSample('P-384', { nameAlg: 'sha384' }).area, rsaSample().area, ekSample().area].map(
    (area) => ({ bytes: encodePublic(area), again: (bytes: Uint8Array) => encodePublic(decodePublic(bytes)) }),
  ),
  ...[certifySample, quoteSample].map((attest) => ({
    bytes: encodeAttest(attest),
    again: (bytes: Uint8Array) => encodeAttest(decodeAttest(bytes)),
  })),
  ...[
    { scheme: 'ecdsa', hash: 'sha256', r: new Uint8Array(32).fill(6), s: new Uint8Array(32).fill(7) } as const,
    { scheme: 'rsapss', hash: 'sha384', signature: new Uint8Array(256).fill(8) } as const,
  ].map((signature) => ({
    bytes: encodeSignature(signature),
    again: (bytes: Uint8Array) => encodeSignature(decodeSignature(bytes)),
  })),
]

test('40,000 structures are refused, or read so that writing them gives the same bytes', () => {
  const mutate = mutations(1)
  within(maxGrowthBytes, () => {
    for (let round = 0; round < 5_000; round++) {
      for (const { bytes, again } of structures) {
        const mutated = mutate(bytes)
        const read = readOrRefused(() => again(mutated))
        if (read !== undefined) assert.deepEqual(read, mutated)
      }
    }
  })
})

test('every response is taken as it is', async () => {
  for (const { name, response, ask } of answered) {
    await assert.doesNotReject(ask(answering(response)), name)
  }
})

test('54,000 responses are taken or refused', async () => {
  const mutate = mutations(2)
  const before = process.memoryUsage()
  for (let round = 0; round < 3_000; round++) {
    for (const { response, ask } of answered) {
      await ask(answering(mutate(response))).catch(assertCoded)
    }
  }
  assertGrowth(before, maxGrowthBytes)
})

test('not one of 2,000 responses that were changed passes for one of a session', async () => {
  const mutate = mutations(3)
  const key = { handle: 0x80000001, name: nameOf(eccSample('P-256').area) }
  const secret = new Uint8Array(32)
  const response = answered.find(({ name }) => name === 'Sign')?.response
  assert.ok(response)
  for (let round = 0; round < 2_000; round++) {
    const nonces = { nonceCaller: new Uint8Array(nonceBytes), nonceTpm: new Uint8Array(nonceBytes) }
    const session = new Session({ handle: 0x02000000, hash: 'sha256', key: secret, ...nonces })
    await assert.rejects(sign(answering(mutate(response)), key, secret, session), assertCoded)
  }
})

test('5,000 credentials that were changed open nothing', () => {
  const mutate = mutations(4)
  const { area: ekPublic, privateKey: ekPrivate } = eccEkSample()
  const akName = nameOf(eccSample('P-256').area)
  const credential = makeCredential({ ekPublic }, akName, new Uint8Array(32).fill(9))
  for (let round = 0; round < 5_000; round++) {
    const field = round % 2 === 0 ? 'credentialBlob' : 'encryptedSecret'
    const changed = mutate(credential[field])
    if (Buffer.compare(changed, credential[field]) === 0) continue
    const opened = readOrRefused(() =>
      openCredential({ ekPublic, ekPrivate }, akName, { ...credential, [field]: changed }),
    )
    assert.equal(opened, undefined)
  }
})

test('2,000 NV indices are split into certificates that lie inside of them', () => {
  const mutate = mutations(5)
  const index = Uint8Array.from([
    0x30,
    0x82,
    0x01,
    0x00,
    ...Array<number>(256).fill(5),
    0x30,
    0x03,
    1,
    2,
    3,
    0xff,
    0xff,
  ])
  for (let round = 0; round < 2_000; round++) {
    const mutated = mutate(index)
    const total = splitCertificates(mutated).reduce((length, der) => length + der.length, 0)
    assert.ok(total <= mutated.length)
  }
})

/** Says this once, and is gone when it is asked again. */
function answering(response: Uint8Array): Transport {
  let isAnswered = false
  return {
    send: () => {
      if (isAnswered || response.length > maxResponseBytes) {
        return Promise.reject(new TpmError('TPM_UNREACHABLE', 'gone'))
      }
      isAnswered = true
      return Promise.resolve(response)
    },
    close: () => Promise.resolve(),
  }
}

function readOrRefused<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    assertCoded(error)
    return undefined
  }
}

function assertCoded(error: unknown): true {
  assert.ok(error instanceof TpmError, String(error))
  return true
}

function within(bytes: number, run: () => void): void {
  const before = process.memoryUsage()
  run()
  assertGrowth(before, bytes)
}

function assertGrowth(before: NodeJS.MemoryUsage, bytes: number): void {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  assert.ok(heapUsed + arrayBuffers < before.heapUsed + before.arrayBuffers + bytes)
}
