import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sequenceOf } from '../entries/read-entry.js'
import { AuditError } from '../errors.js'
import { parseMinimum } from '../retention/minimum.js'
import { Frontier, type Hash, hashBytes, hashLeaf } from '../tree/merkle.js'
import { bundlePath, entriesOf, tilePath, tileWidth } from '../tree/tiles.js'

export interface CheckedLeaves {
  readonly leaves: readonly Hash[]
  /** Retention took the entries away: the hashes are what the tile says, and it is for the root to tell whether they are right. */
  readonly isGone: boolean
}

/**
 * The leaf hashes of a bundle of `width` entries below `log/`, each entry compared with its place and with its hash in
 * the tile.
 * @throws AuditError AUDIT_CORRUPT naming the first entry that is not what was hashed
 */
export function checkedLeaves(folder: string, index: number, width: number): CheckedLeaves {
  const first = index * tileWidth
  const name = bundlePath(index, width)
  const tileName = tilePath(0, index, width)
  const bundle = readOrEmpty(folder, name)
  const hashes = readOrEmpty(folder, tileName).toString('latin1')
  if (bundle.length === 0 && first + width <= minimumIndex(folder))
    return { leaves: leavesAlone(hashes, first, width, tileName), isGone: true }

  const leaves: Hash[] = []
  let used = 0
  for (const entry of entriesOf(bundle)) {
    const at = leaves.length
    if (hashes.length < (at + 1) * hashBytes) break
    const leaf = hashLeaf(entry)
    if (!hashes.startsWith(leaf, at * hashBytes)) throw damaged(first + at, 'the entry is not the one that was hashed')
    requirePlace(entry, first + at)
    leaves.push(leaf)
    used += 2 + entry.length
  }
  if (leaves.length < width) throw damaged(first + leaves.length, `${name} or its hashes are missing or cut`)
  if (used < bundle.length || leaves.length > width) throw damaged(first + width, `${name} holds more than its entries`)
  if (hashes.length > width * hashBytes) throw damaged(first + width, `${tileName} holds more than its hashes`)
  return { leaves, isGone: false }
}

/** Read where it is needed: a log that forgets while it is checked says so before it does. */
function minimumIndex(folder: string): number {
  const text = readOrEmpty(folder, 'minimum').toString()
  return text === '' ? 0 : parseMinimum(text).index
}

/** Of entries that were taken away. */
function leavesAlone(hashes: string, first: number, width: number, tileName: string): readonly Hash[] {
  const leaves = Array.from({ length: hashes.length / hashBytes }, (_, at) =>
    hashes.slice(at * hashBytes, (at + 1) * hashBytes),
  )
  if (leaves.length === width && hashes.length === width * hashBytes) return leaves
  throw damaged(first + Math.min(leaves.length, width), `${tileName} does not hold ${width} hashes`)
}

/** The entry must be the one form of a record that says this place. */
export function requirePlace(entry: Uint8Array, index: number): void {
  let sequence: number
  try {
    sequence = sequenceOf(entry)
  } catch (cause) {
    throw cause instanceof AuditError ? damaged(index, cause.message) : cause
  }
  if (sequence !== index) throw damaged(index, `the entry says that it is number ${sequence}`)
}

/** RFC 6962 §2.1 over hashes of one level. */
export function rootOf(hashes: readonly Hash[]): Hash {
  const frontier = new Frontier()
  for (const hash of hashes) frontier.append(hash)
  return frontier.root()
}

/** Something else in a file's place is as good as no file. */
export function readOrEmpty(folder: string, path: string): Buffer {
  try {
    return readFileSync(join(folder, path))
  } catch (error) {
    if (error instanceof Error && 'code' in error && absent.has(String(error.code))) return Buffer.alloc(0)
    throw error
  }
}

const absent: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR'])

export function damaged(sequence: number, what: string): AuditError {
  return new AuditError('AUDIT_CORRUPT', what, { sequence })
}
