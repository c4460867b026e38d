import { type KeyObject, sign, verify } from 'node:crypto'
import { AuditError } from '../errors.js'
import { hashBytes } from './merkle.js'
import {
  formatVerifierKey,
  isKeyName,
  parseNote,
  parseVerifierKeyOf,
  signatureLine,
  signaturesOf,
  signatureTypes,
  type VerifierKey,
  verifierKeyFor,
} from './note.js'

/** What a checkpoint says: the first `size` entries have this Merkle root. */
export interface TreeHead {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

/** A tree head as a note signed with each key (C2SP tlog-checkpoint in C2SP signed-note). */
export function signCheckpoint(head: TreeHead, ...signingKeys: readonly KeyObject[]): string {
  const text = `${head.origin}\n${head.size}\n${Buffer.from(head.root).toString('base64')}\n`
  const lines = signingKeys.map((signingKey) => {
    const key = verifierKeyFor(head.origin, signatureTypes.ed25519, signingKey)
    return signatureLine(key, sign(null, Buffer.from(text), signingKey))
  })
  return `${text}\n${lines.join('')}`
}

/** Reads a checkpoint without asking who signed it. @throws AuditError AUDIT_INVALID */
export function parseCheckpoint(note: string): TreeHead {
  const { text } = parseNote(note)
  const [origin = '', size = '', root = '', ...rest] = text.split('\n')
  const rootBytes = Buffer.from(root, 'base64')
  const wellFormed =
    /^(0|[1-9][0-9]{0,15})$/.test(size) &&
    Number.isSafeInteger(Number(size)) &&
    rootBytes.length === hashBytes &&
    rootBytes.toString('base64') === root &&
    rest.at(-1) === ''
  if (!wellFormed || !isKeyName(origin)) throw invalid('not a checkpoint')
  return { origin, size: Number(size), root: Uint8Array.from(rootBytes) }
}

/**
 * Reads a checkpoint that the owner of one of the keys signed. Signatures by others do not matter; one by any of these
 * must hold (C2SP signed-note, "Signatures").
 * @throws AuditError AUDIT_INVALID
 */
export function verifyCheckpoint(note: string, ...verifierKeys: readonly string[]): TreeHead {
  const head = parseCheckpoint(note)
  const keys = verifierKeys.map(parseVerifierKey)
  const known = keys.filter(({ name }) => name === head.origin)
  if (known.length === 0) {
    throw invalid(`checkpoint of ${head.origin}, the key is for ${keys.map(({ name }) => name).join(', ')}`)
  }
  const { text, signatures } = parseNote(note)
  const claimed = known.flatMap((key) => signaturesOf(signatures, key).map((bytes) => ({ key, bytes })))
  if (claimed.length === 0) throw invalid('the checkpoint is not signed by this key')
  const holds = claimed.every(({ key, bytes }) => verify(null, Buffer.from(text), key.publicKey, bytes))
  if (!holds) throw invalid('the signature of the checkpoint does not match')
  return head
}

/** `name+hash+base64`, to be handed to whoever wants to check the log. */
export function verifierKeyOf(origin: string, key: KeyObject): string {
  const { ed25519 } = signatureTypes
  return formatVerifierKey(verifierKeyFor(origin, ed25519, key), ed25519)
}

/** @throws AuditError AUDIT_INVALID */
export function parseVerifierKey(text: string): VerifierKey {
  return parseVerifierKeyOf(signatureTypes.ed25519, text)
}

function invalid(problem: string): AuditError {
  return new AuditError('AUDIT_INVALID', problem)
}
