import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { AuditError } from '../errors.js'
import { hashBytes } from './merkle.js'

/** What a checkpoint says: the first `size` entries have this Merkle root. */
export interface TreeHead {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

const ed25519 = 1 // signature type, https://c2sp.org/signed-note
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex') // RFC 8410 §4

/** A tree head as a signed note (C2SP tlog-checkpoint in C2SP signed-note). */
export function signCheckpoint(head: TreeHead, signingKey: KeyObject): string {
  const text = `${head.origin}\n${head.size}\n${Buffer.from(head.root).toString('base64')}\n`
  const keyId = keyIdOf(head.origin, rawPublicKey(signingKey))
  const signature = Buffer.concat([keyId, sign(null, Buffer.from(text), signingKey)])
  return `${text}\n— ${head.origin} ${signature.toString('base64')}\n`
}

/** Reads a checkpoint without asking who signed it. @throws AuditError AUDIT_INVALID */
export function parseCheckpoint(note: string): TreeHead {
  const { text } = splitNote(note)
  const [origin = '', size = '', root = '', ...rest] = text.split('\n')
  const rootBytes = Buffer.from(root, 'base64')
  const wellFormed =
    /^(0|[1-9][0-9]{0,15})$/.test(size) &&
    Number.isSafeInteger(Number(size)) &&
    rootBytes.length === hashBytes &&
    rootBytes.toString('base64') === root &&
    rest.at(-1) === ''
  if (!wellFormed || !isOrigin(origin)) throw invalid('not a checkpoint')
  return { origin, size: Number(size), root: Uint8Array.from(rootBytes) }
}

/** Reads a checkpoint that the key's owner signed. @throws AuditError AUDIT_INVALID */
export function verifyCheckpoint(note: string, verifierKey: string): TreeHead {
  const head = parseCheckpoint(note)
  const { name, keyId, publicKey } = parseVerifierKey(verifierKey)
  if (head.origin !== name) throw invalid(`checkpoint of ${head.origin}, the key is for ${name}`)
  const { text, signatures } = splitNote(note)
  for (const { name: signer, bytes } of signatures) {
    if (signer !== name || !bytes.subarray(0, 4).equals(keyId)) continue
    if (verify(null, Buffer.from(text), publicKey, bytes.subarray(4))) return head
    throw invalid('the signature of the checkpoint does not match')
  }
  throw invalid('the checkpoint is not signed by this key')
}

/** `name+hash+base64`, to be handed to whoever wants to check the log. */
export function verifierKeyOf(origin: string, key: KeyObject): string {
  if (!isOrigin(origin)) throw invalid('an origin is a name without white space and "+"')
  const publicKey = rawPublicKey(key)
  const typed = Buffer.concat([Uint8Array.of(ed25519), publicKey])
  return `${origin}+${keyIdOf(origin, publicKey).toString('hex')}+${typed.toString('base64')}`
}

/** @throws AuditError AUDIT_INVALID */
export function parseVerifierKey(text: string): { name: string; keyId: Buffer; publicKey: KeyObject } {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(text)
  const [, name = '', hash = '', base64 = ''] = match ?? []
  const typed = Buffer.from(base64, 'base64')
  const raw = typed.subarray(1)
  const keyId = keyIdOf(name, raw)
  if (typed.length !== 33 || typed[0] !== ed25519 || keyId.toString('hex') !== hash) {
    throw invalid('not a verifier key (origin+hash+base64 of an Ed25519 key)')
  }
  const publicKey = createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' })
  return { name, keyId, publicKey }
}

interface Note {
  /** What is signed, with its last line feed. */
  readonly text: string
  readonly signatures: readonly { readonly name: string; readonly bytes: Buffer }[]
}

function splitNote(note: string): Note {
  const gap = note.lastIndexOf('\n\n')
  if (gap < 0 || !note.endsWith('\n')) throw invalid('not a signed note')
  const lines = note.slice(gap + 2, -1).split('\n')
  const signatures = lines.map((line) => {
    const [, name = '', base64 = ''] = /^— (\S+) ([A-Za-z0-9+/]+=*)$/.exec(line) ?? []
    const bytes = Buffer.from(base64, 'base64')
    if (name === '' || bytes.toString('base64') !== base64) throw invalid('not a signature line of a signed note')
    return { name, bytes }
  })
  return { text: note.slice(0, gap + 1), signatures }
}

function keyIdOf(name: string, publicKey: Uint8Array): Buffer {
  return createHash('sha256')
    .update(`${name}\n`)
    .update(Uint8Array.of(ed25519))
    .update(publicKey)
    .digest()
    .subarray(0, 4)
}

function rawPublicKey(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  if (publicKey.asymmetricKeyType !== 'ed25519') throw invalid('checkpoints are signed with an Ed25519 key')
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length)
}

function isOrigin(text: string): boolean {
  return /^[^\s+]+$/.test(text)
}

function invalid(problem: string): AuditError {
  return new AuditError('AUDIT_INVALID', problem)
}
