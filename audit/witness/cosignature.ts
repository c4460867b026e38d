import { type KeyObject, sign, verify } from 'node:crypto'
import { AuditError } from '../errors.js'
import {
  formatVerifierKey,
  type NoteSignature,
  parseNote,
  parseVerifierKeyOf,
  signatureLine,
  signaturesOf,
  signatureTypes,
  type VerifierKey,
  verifierKeyFor,
} from '../tree/note.js'

/*
 * What a witness says of a checkpoint (https://c2sp.org/tlog-cosignature, Ed25519): as of a time, this is the largest tree
 * of that log which I have seen, and it is consistent with all that I saw before.
 */

const timestampBytes = 8
const signatureBytes = 64

/** A checkpoint's signature line by a witness, with its line feed. */
export function cosign(checkpoint: string, name: string, key: KeyObject, now: number): string {
  const seconds = BigInt(Math.floor(now / 1000))
  const timestamp = Buffer.alloc(timestampBytes)
  timestamp.writeBigUInt64BE(seconds)
  const signature = sign(null, signedMessage(parseNote(checkpoint).text, seconds), key)
  const verifierKey = verifierKeyFor(name, signatureTypes.cosignature, key)
  return signatureLine(verifierKey, Buffer.concat([timestamp, signature]))
}

/**
 * When the witness cosigned the checkpoint with this text, in milliseconds since 1970; undefined where no signature says
 * that it is by this witness. Signatures of others are ignored.
 * @throws AuditError AUDIT_INVALID for one that says so, and is not
 */
export function verifyCosignature(
  text: string,
  signatures: readonly NoteSignature[],
  witness: VerifierKey,
): number | undefined {
  const [cosignature] = signaturesOf(signatures, witness)
  if (!cosignature) return undefined
  if (cosignature.length !== timestampBytes + signatureBytes)
    throw invalid(`a cosignature of ${cosignature.length} bytes`)
  const seconds = cosignature.readBigUInt64BE()
  const milliseconds = Number(seconds) * 1000
  if (seconds === 0n || !Number.isSafeInteger(milliseconds)) throw invalid('a cosignature of no possible time')
  const signature = cosignature.subarray(timestampBytes)
  if (!verify(null, signedMessage(text, seconds), witness.publicKey, signature))
    throw invalid(`the cosignature of ${witness.name} does not match`)
  return milliseconds
}

/** `name+hash+base64`, for who wants to check what a witness has cosigned. @throws AuditError AUDIT_INVALID */
export function witnessKeyOf(name: string, key: KeyObject): string {
  const { cosignature } = signatureTypes
  return formatVerifierKey(verifierKeyFor(name, cosignature, key), cosignature)
}

/** @throws AuditError AUDIT_INVALID for any other text, and for the verifier key of a log */
export function parseWitnessKey(text: string): VerifierKey {
  return parseVerifierKeyOf(signatureTypes.cosignature, text)
}

function signedMessage(text: string, seconds: bigint): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`)
}

function invalid(problem: string): AuditError {
  return new AuditError('AUDIT_INVALID', problem)
}
