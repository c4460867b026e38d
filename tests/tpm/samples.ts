import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  attestationKey,
  type CertifyAttest,
  type EccPublic,
  ekTemplates,
  type QuoteAttest,
  type RsaPublic,
  type TpmErrorCode,
  TpmError,
} from '#tpm'

/*
 * Structures as a TPM gives them, over keys made for the run.
 */

export interface Sample<Area> {
  readonly area: Area
  readonly privateKey: KeyObject
}

export function eccSample(curve: 'P-256' | 'P-384', over: Partial<EccPublic> = {}): Sample<EccPublic> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  assert.equal(attestationKey.type, 'ecc')
  return { area: { ...attestationKey, curve, x: fromBase64url(x), y: fromBase64url(y), ...over }, privateKey }
}

const rsaPair = generateKeyPairSync('rsa', { modulusLength: 2048 })

export function rsaSample(over: Partial<RsaPublic> = {}): Sample<RsaPublic> {
  const modulus = fromBase64url(rsaPair.publicKey.export({ format: 'jwk' }).n ?? '')
  const { attributes, authPolicy, nameAlg } = attestationKey
  const key = { type: 'rsa', keyBits: 2048, exponent: 0, modulus } as const
  return { area: { ...key, attributes, authPolicy, nameAlg, ...over }, privateKey: rsaPair.privateKey }
}

/** The RSA-2048 EK of the low range. */
export function ekSample(): Sample<RsaPublic> {
  const template = ekTemplates.find(({ name }) => name === 'rsa-2048')?.public
  assert.equal(template?.type, 'rsa')
  const { modulus } = rsaSample().area
  return { area: { ...template, modulus }, privateKey: rsaPair.privateKey }
}

/** The P-256 EK of the low range. */
export function eccEkSample(): Sample<EccPublic> {
  const template = ekTemplates.find(({ name }) => name === 'ecc-p256')?.public
  assert.equal(template?.type, 'ecc')
  const { area, privateKey } = eccSample('P-256')
  return { area: { ...template, x: area.x, y: area.y }, privateKey }
}

const attestFacts = {
  qualifiedSigner: new Uint8Array(34).fill(1),
  extraData: new Uint8Array(32).fill(2),
  clockInfo: { clock: 123_456_789, resetCount: 7, restartCount: 3, safe: true },
  firmwareVersion: '2019102300163636',
}

export const certifySample: CertifyAttest = {
  type: 'certify',
  ...attestFacts,
  name: new Uint8Array(34).fill(3),
  qualifiedName: new Uint8Array(34).fill(4),
}

export const quoteSample: QuoteAttest = {
  type: 'quote',
  ...attestFacts,
  pcrSelections: [{ hash: 'sha256', pcrs: [0, 7, 23] }],
  pcrDigest: new Uint8Array(32).fill(5),
}

export function hasCode(...codes: readonly TpmErrorCode[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TpmError, String(error))
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`)
    return true
  }
}

function fromBase64url(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64url'))
}
