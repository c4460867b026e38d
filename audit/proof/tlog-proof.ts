import { maxEntryBytes } from '../entries/write-entry.js'
import { AuditError } from '../errors.js'
import { type Hash, hashBytes } from '../tree/merkle.js'

/* A proof as a file that holds all that a third party needs but the log's key: https://c2sp.org/tlog-proof */

export interface TlogProof {
  /** The entry that the proof is about, in the `extra` line; not trusted before its hash has led to the root. */
  readonly entry: Uint8Array
  readonly index: number
  readonly hashes: readonly Hash[]
  /** The signed note, as the log gave it out. */
  readonly checkpoint: string
}

const firstLine = 'c2sp.org/tlog-proof@v1'

/** Room for the largest entry and for a checkpoint with signatures of many witnesses. */
export const maxProofBytes = 1024 * 1024

/** No tree is higher. */
const maxHashes = 63

export function encodeTlogProof({ entry, index, hashes, checkpoint }: TlogProof): string {
  const lines = [firstLine, `extra ${base64(entry)}`, `index ${index}`, ...hashes.map(encodeHash)]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/** Reads a proof without asking whether it holds. @throws AuditError AUDIT_INVALID */
export function parseTlogProof(text: string): TlogProof {
  if (text.length > maxProofBytes) throw invalid(`larger than ${maxProofBytes} bytes`)
  const gap = text.indexOf('\n\n')
  if (gap < 0) throw invalid('no empty line before a checkpoint')
  const [first, ...rest] = text.slice(0, gap).split('\n')
  if (first !== firstLine) throw invalid(`does not begin with ${firstLine}`)
  const [extra, index, ...hashes] = rest
  if (!extra?.startsWith('extra ')) throw invalid('no "extra" line, where the record belongs')
  if (hashes.length > maxHashes) throw invalid(`more than ${maxHashes} hashes`)
  const entry = decodeBase64(extra.slice('extra '.length))
  if (entry.length > maxEntryBytes) throw invalid(`a record larger than ${maxEntryBytes} bytes`)
  return {
    entry,
    index: parseIndex(index),
    hashes: hashes.map(decodeHash),
    checkpoint: text.slice(gap + 2),
  }
}

function parseIndex(line = ''): number {
  const [, digits = ''] = /^index (0|[1-9][0-9]{0,15})$/.exec(line) ?? []
  const index = Number(digits)
  if (digits === '' || !Number.isSafeInteger(index)) throw invalid('no "index" line with a whole number')
  return index
}

function encodeHash(hash: Hash): string {
  return Buffer.from(hash, 'latin1').toString('base64')
}

function decodeHash(line: string): Hash {
  const bytes = decodeBase64(line)
  if (bytes.length !== hashBytes) throw invalid('a line that is no SHA-256')
  return bytes.toString('latin1')
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw invalid('a line that is not base64')
  return bytes
}

function invalid(problem: string): AuditError {
  return new AuditError('AUDIT_INVALID', `not a tlog-proof: ${problem}`)
}
