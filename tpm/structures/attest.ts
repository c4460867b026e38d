import { TpmError } from '../errors.js'
import { hashBytes, unsupported } from './algorithms.js'
import { TpmReader, TpmWriter } from './codec.js'
import { encodePcrSelections, type PcrSelection, readPcrSelections } from './pcrs.js'

/** TPMS_ATTEST (Part 2 table 151), of the two kinds that an enrollment rests on. */
export type TpmAttest = CertifyAttest | QuoteAttest

/** TPM2_Certify: the object of this Name lives in the TPM of the signer. */
export interface CertifyAttest extends AttestFacts {
  readonly type: 'certify'
  readonly name: Uint8Array
  readonly qualifiedName: Uint8Array
}

/** TPM2_Quote: these PCRs have values of this digest. */
export interface QuoteAttest extends AttestFacts {
  readonly type: 'quote'
  readonly pcrSelections: readonly PcrSelection[]
  readonly pcrDigest: Uint8Array
}

interface AttestFacts {
  /** Where the signing key stands; see `qualifiedNameOf`. */
  readonly qualifiedSigner: Uint8Array
  /** The qualifying data that the caller gave: what makes the attestation fresh. */
  readonly extraData: Uint8Array
  readonly clockInfo: ClockInfo
  /** Vendor-specific; 16 hex digits. */
  readonly firmwareVersion: string
}

/** TPMS_CLOCK_INFO (Part 2 table 114). */
export interface ClockInfo {
  /** Milliseconds of powered time since the owner was set. */
  readonly clock: number
  readonly resetCount: number
  readonly restartCount: number
  /** False when the clock may be behind a value that was reported before. */
  readonly safe: boolean
}

/** TPM_GENERATED_VALUE: a TPM puts it before what it made itself, and refuses to sign outside data that begins so. */
const generated = 0xff544347
const types = { certify: 0x8017, quote: 0x8018 } as const
const maxNameBytes = 2 + 64
const maxExtraDataBytes = 64

/** @throws TpmError STRUCTURE_INVALID, or STRUCTURE_UNSUPPORTED for another kind of attestation. */
export function decodeAttest(bytes: Uint8Array): TpmAttest {
  const reader = new TpmReader(bytes)
  if (reader.uint32() !== generated)
    throw new TpmError('STRUCTURE_INVALID', 'not made by a TPM: TPM_GENERATED is missing')
  const type = reader.uint16()
  const facts: AttestFacts = {
    qualifiedSigner: reader.sized(maxNameBytes),
    extraData: reader.sized(maxExtraDataBytes),
    clockInfo: readClockInfo(reader),
    firmwareVersion: reader.uint64().toString(16).padStart(16, '0'),
  }
  const attest = readAttested(reader, type, facts)
  reader.end()
  return attest
}

/** For TPMs in software. */
export function encodeAttest(attest: TpmAttest): Uint8Array {
  const { clockInfo } = attest
  const writer = new TpmWriter()
    .uint32(generated)
    .uint16(types[attest.type])
    .sized(attest.qualifiedSigner)
    .sized(attest.extraData)
    .uint64(BigInt(clockInfo.clock))
    .uint32(clockInfo.resetCount)
    .uint32(clockInfo.restartCount)
    .uint8(clockInfo.safe ? 1 : 0)
    .uint64(BigInt(`0x${attest.firmwareVersion}`))
  switch (attest.type) {
    case 'certify':
      return writer.sized(attest.name).sized(attest.qualifiedName).encoded()
    case 'quote':
      return writer.bytes(encodePcrSelections(attest.pcrSelections)).sized(attest.pcrDigest).encoded()
  }
}

function readClockInfo(reader: TpmReader): ClockInfo {
  const clock = reader.uint64()
  if (clock > BigInt(Number.MAX_SAFE_INTEGER)) throw new TpmError('STRUCTURE_INVALID', `a clock of ${clock} ms`)
  const resetCount = reader.uint32()
  const restartCount = reader.uint32()
  return { clock: Number(clock), resetCount, restartCount, safe: reader.yesNo() }
}

function readAttested(reader: TpmReader, type: number, facts: AttestFacts): TpmAttest {
  switch (type) {
    case types.certify:
      return { type: 'certify', ...facts, name: reader.sized(maxNameBytes), qualifiedName: reader.sized(maxNameBytes) }
    case types.quote:
      return { type: 'quote', ...facts, pcrSelections: readPcrSelections(reader), pcrDigest: readDigest(reader) }
    default:
      throw unsupported('attestation type', type)
  }
}

function readDigest(reader: TpmReader): Uint8Array {
  const sizes = Object.values(hashBytes)
  const digest = reader.sized(Math.max(...sizes))
  if (!sizes.includes(digest.length)) throw new TpmError('STRUCTURE_INVALID', `a digest of ${digest.length} bytes`)
  return digest
}
