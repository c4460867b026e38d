import { TpmError } from '../errors.js'
import { eventTypeOf } from './event-types.js'
import { FirmwareReader } from './reader.js'

/** A bank of PCRs that every event of the log has a digest for. */
export interface LogBank {
  /** TPM_ALG_ID. */
  readonly algorithm: number
  readonly digestBytes: number
}

/** Said by a log of TPM 2.0 firmware; one of before begins with its first measurement at once, all in SHA-1. */
const signature = 'Spec ID Event03\0'
const sha1Bytes = 20
const maxBanks = 8

/** Sizes that the TCG Algorithm Registry gives (table 3): a header that says something else lies. */
const knownSizes: ReadonlyMap<number, number> = new Map([
  [0x0004, sha1Bytes],
  [0x000b, 32],
  [0x000c, 48],
  [0x000d, 64],
  [0x0012, 32], // SM3
  [0x0027, 32], // SHA3-256 and its longer ones
  [0x0028, 48],
  [0x0029, 64],
])

/**
 * The first event (§10.2.1, §10.4.5.1): in the form of TPM 1.2, so that its tools stop here, it says how to read all others.
 * @throws TpmError
 */
export function readHeader(reader: FirmwareReader): readonly LogBank[] {
  const pcr = reader.uint32()
  const type = reader.uint32()
  const digest = reader.bytes(sha1Bytes)
  const data = reader.bytes(reader.uint32())
  const isHeader = pcr === 0 && type === eventTypeOf('EV_NO_ACTION') && digest.every((byte) => byte === 0)
  if (!isHeader || Buffer.from(data).toString('latin1', 0, signature.length) !== signature) {
    throw new TpmError('STRUCTURE_UNSUPPORTED', 'not an event log of TPM 2.0 firmware')
  }
  return readBanks(new FirmwareReader(data.subarray(signature.length)))
}

/** TCG_EfiSpecIDEvent behind its signature. */
function readBanks(reader: FirmwareReader): readonly LogBank[] {
  reader.uint32() // platformClass
  reader.bytes(3) // the version of the profile
  reader.uint8() // uintnSize
  const count = reader.uint32()
  if (count === 0 || count > maxBanks) throw new TpmError('STRUCTURE_INVALID', `an event log of ${count} banks`)
  const banks = Array.from({ length: count }, () => ({ algorithm: reader.uint16(), digestBytes: reader.uint16() }))
  reader.bytes(reader.uint8()) // vendorInfo
  reader.end()
  for (const { algorithm, digestBytes } of banks) {
    if (knownSizes.get(algorithm) !== digestBytes) {
      throw new TpmError('STRUCTURE_INVALID', `a bank 0x${algorithm.toString(16)} of digests of ${digestBytes} bytes`)
    }
  }
  if (new Set(banks.map(({ algorithm }) => algorithm)).size !== count) {
    throw new TpmError('STRUCTURE_INVALID', 'the same bank twice')
  }
  return banks
}

/** For firmware in software. */
export function encodeHeader(banks: readonly LogBank[]): Uint8Array {
  const spec = Buffer.alloc(signature.length + 12 + banks.length * 4 + 1)
  spec.write(signature, 'latin1')
  spec.set([0, 2, 0, 2], signature.length + 4) // platform class 0, version 2.0 errata 0, uintnSize 2 for 64 bits
  spec.writeUInt32LE(banks.length, signature.length + 8)
  banks.forEach(({ algorithm, digestBytes }, position) => {
    spec.writeUInt16LE(algorithm, signature.length + 12 + position * 4)
    spec.writeUInt16LE(digestBytes, signature.length + 14 + position * 4)
  })
  const head = Buffer.alloc(8 + sha1Bytes + 4)
  head.writeUInt32LE(eventTypeOf('EV_NO_ACTION'), 4)
  head.writeUInt32LE(spec.length, 8 + sha1Bytes)
  return Buffer.concat([head, spec])
}
