import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { AuditError } from '../errors.js'

/* Signed notes and the keys that verify them: https://c2sp.org/signed-note. What a signature means is its type's matter. */

/** Signature types; the byte stands in verifier keys and goes into key ids. */
export const signatureTypes = { ed25519: 1, cosignature: 4 } as const
export type SignatureType = (typeof signatureTypes)[keyof typeof signatureTypes]

export interface SignedNote {
  /** What is signed, with its last line feed. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

export interface NoteSignature {
  readonly name: string
  readonly keyId: Buffer
  readonly bytes: Buffer
}

/** Knows a signature by name and id; both must match. */
export interface VerifierKey {
  readonly name: string
  readonly keyId: Buffer
  readonly publicKey: KeyObject
}

const keyIdBytes = 4
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex') // RFC 8410 §4

/** @throws AuditError AUDIT_INVALID */
export function parseNote(note: string): SignedNote {
  const gap = note.lastIndexOf('\n\n')
  if (gap < 0 || !note.endsWith('\n') || hasControls(note)) throw invalid('not a signed note')
  const signatures = parseSignatureLines(note.slice(gap + 2))
  return { text: note.slice(0, gap + 1), signatures }
}

function hasControls(note: string): boolean {
  return /[^\P{Cc}\n]/u.test(note)
}

/** At least one line, each with its line feed. @throws AuditError AUDIT_INVALID */
export function parseSignatureLines(lines: string): readonly NoteSignature[] {
  if (!lines.endsWith('\n')) throw invalid('not the signature lines of a signed note')
  return lines.slice(0, -1).split('\n').map(parseSignatureLine)
}

function parseSignatureLine(line: string): NoteSignature {
  const [, name = '', base64 = ''] = /^— (\S+) ([A-Za-z0-9+/]+=*)$/.exec(line) ?? []
  const bytes = Buffer.from(base64, 'base64')
  if (name === '' || bytes.toString('base64') !== base64) throw invalid('not a signature line of a signed note')
  return { name, keyId: bytes.subarray(0, keyIdBytes), bytes: bytes.subarray(keyIdBytes) }
}

/** With its line feed. */
export function signatureLine({ name, keyId }: VerifierKey, bytes: Uint8Array): string {
  return `— ${name} ${Buffer.concat([keyId, bytes]).toString('base64')}\n`
}

/** The signatures that say they were made with a key; whether they were is to be verified. */
export function signaturesOf(signatures: readonly NoteSignature[], { name, keyId }: VerifierKey): readonly Buffer[] {
  return signatures
    .filter((signature) => signature.name === name && signature.keyId.equals(keyId))
    .map(({ bytes }) => bytes)
}

/** The note with nothing but its first signature by each key: what others have added says nothing, and can be anything. */
export function withOnlySignaturesOf(keys: readonly VerifierKey[], note: string): string {
  const { text, signatures } = parseNote(note)
  const lines = keys.flatMap((key) => {
    const [first] = signaturesOf(signatures, key)
    return first === undefined ? [] : [signatureLine(key, first)]
  })
  return `${text}\n${lines.join('')}`
}

/** What verifies signatures of a type by an Ed25519 key under a name. @throws AuditError AUDIT_INVALID */
export function verifierKeyFor(name: string, type: SignatureType, key: KeyObject): VerifierKey {
  if (!isKeyName(name)) throw invalid('an origin is a name without white space and "+"')
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return { name, keyId: keyIdOf(name, type, rawPublicKey(publicKey)), publicKey }
}

/** `name+hash+base64`, to be handed to whoever wants to check signatures. */
export function formatVerifierKey({ name, keyId, publicKey }: VerifierKey, type: SignatureType): string {
  const typed = Buffer.concat([Uint8Array.of(type), rawPublicKey(publicKey)])
  return `${name}+${keyId.toString('hex')}+${typed.toString('base64')}`
}

/** @throws AuditError AUDIT_INVALID for any other text, a key of another type too */
export function parseVerifierKeyOf(type: SignatureType, text: string): VerifierKey {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(text)
  const [, name = '', hash = '', base64 = ''] = match ?? []
  const typed = Buffer.from(base64, 'base64')
  const raw = typed.subarray(1)
  const keyId = keyIdOf(name, type, raw)
  if (typed.length !== 33 || typed[0] !== type || keyId.toString('hex') !== hash) throw invalid(expectedKey[type])
  const publicKey = createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' })
  return { name, keyId, publicKey }
}

const expectedKey: Readonly<Record<SignatureType, string>> = {
  1: 'not a verifier key (origin+hash+base64 of an Ed25519 key)',
  4: 'not the verifier key of a witness (name+hash+base64 of an Ed25519 cosignature key, which begins with "B")',
}

export function isKeyName(text: string): boolean {
  return /^[^\s+]+$/.test(text)
}

function keyIdOf(name: string, type: SignatureType, publicKey: Uint8Array): Buffer {
  const hash = createHash('sha256').update(`${name}\n`).update(Uint8Array.of(type)).update(publicKey)
  return hash.digest().subarray(0, keyIdBytes)
}

function rawPublicKey(publicKey: KeyObject): Buffer {
  if (publicKey.asymmetricKeyType !== 'ed25519') throw invalid('checkpoints are signed with an Ed25519 key')
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length)
}

function invalid(problem: string): AuditError {
  return new AuditError('AUDIT_INVALID', problem)
}
