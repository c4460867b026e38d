import { type Hash, hashNode } from '../tree/merkle.js'
import { greatestPowerBelow, type ReadNode, rootOfRange } from './nodes.js'

/*
 * Consistency: a newer tree begins with all that an older one holds (RFC 6962 §2.1.2; checked as in RFC 9162 §2.1.4.2).
 */

/** The proof for any two sizes of one log, the older first; empty where nothing has to be shown. */
export async function proveConsistency(older: number, newer: number, read: ReadNode): Promise<readonly Hash[]> {
  if (older > newer) throw new RangeError(`a tree of ${newer} does not hold one of ${older}`)
  return older === 0 ? [] : await subproof(older, 0, newer, true, read)
}

/** `known`: who checks has the hash of the older tree's part itself. */
async function subproof(older: number, from: number, to: number, known: boolean, read: ReadNode): Promise<Hash[]> {
  const size = to - from
  if (older === size) return known ? [] : [await rootOfRange(from, to, read)]
  const left = greatestPowerBelow(size)
  return older <= left
    ? [...(await subproof(older, from, from + left, known, read)), await rootOfRange(from + left, to, read)]
    : [...(await subproof(older - left, from + left, to, false, read)), await rootOfRange(from, from + left, read)]
}

export interface SizedRoot {
  readonly size: number
  readonly root: Uint8Array
}

/** Whether the proof shows that the newer tree begins with the older one. */
export function isConsistent(older: SizedRoot, newer: SizedRoot, proof: readonly Hash[]): boolean {
  const [olderRoot, newerRoot] = [latin1(older.root), latin1(newer.root)]
  if (older.size > newer.size) return false
  if (older.size === newer.size) return proof.length === 0 && olderRoot === newerRoot
  if (older.size === 0) return proof.length === 0
  if (proof.length === 0) return false
  return climb(older.size, newer.size, isPowerOfTwo(older.size) ? [olderRoot, ...proof] : proof, olderRoot, newerRoot)
}

/** From the last leaf of the older tree up to both roots. Sizes reach beyond 32 bits, so no shifting. */
function climb(older: number, newer: number, [first = '', ...rest]: readonly Hash[], olderRoot: Hash, newerRoot: Hash) {
  let at = older - 1
  let last = newer - 1
  const up = () => ([at, last] = [Math.floor(at / 2), Math.floor(last / 2)])
  while (at % 2 === 1) up()
  let olderHash = first
  let newerHash = first
  for (const hash of rest) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      olderHash = hashNode(hash, olderHash)
      newerHash = hashNode(hash, newerHash)
      while (at % 2 === 0 && at !== 0) up()
    } else {
      newerHash = hashNode(newerHash, hash)
    }
    up()
  }
  return last === 0 && olderHash === olderRoot && newerHash === newerRoot
}

function isPowerOfTwo(size: number): boolean {
  return Number.isInteger(Math.log2(size)) && 2 ** Math.log2(size) === size
}

function latin1(root: Uint8Array): Hash {
  return Buffer.from(root).toString('latin1')
}
