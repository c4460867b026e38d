import { type Hash, hashNode } from '../tree/merkle.js'
import type { SizedRoot } from './consistency.js'
import { greatestPowerBelow, type ReadNode, rootOfRange } from './nodes.js'

/* Inclusion: a tree holds an entry at a place (RFC 6962 §2.1.1; checked as in RFC 9162 §2.1.3.2). */

/** From the leaf's sibling up to the root's child. */
export async function proveInclusion(index: number, size: number, read: ReadNode): Promise<readonly Hash[]> {
  if (index >= size) throw new RangeError(`a tree of ${size} holds no entry ${index}`)
  return await path(index, 0, size, read)
}

async function path(index: number, from: number, to: number, read: ReadNode): Promise<readonly Hash[]> {
  if (to - from === 1) return []
  const middle = from + greatestPowerBelow(to - from)
  return index < middle
    ? [...(await path(index, from, middle, read)), await rootOfRange(middle, to, read)]
    : [...(await path(index, middle, to, read)), await rootOfRange(from, middle, read)]
}

/** Whether the proof shows that the leaf stands at this place of the tree. Sizes reach beyond 32 bits, so no shifting. */
export function isIncluded(leaf: Hash, index: number, { size, root }: SizedRoot, proof: readonly Hash[]): boolean {
  if (index >= size) return false
  let at = index
  let last = size - 1
  let hash = leaf
  const up = () => ([at, last] = [Math.floor(at / 2), Math.floor(last / 2)])
  for (const sibling of proof) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      hash = hashNode(sibling, hash)
      while (at % 2 === 0 && at !== 0) up()
    } else {
      hash = hashNode(hash, sibling)
    }
    up()
  }
  return last === 0 && hash === Buffer.from(root).toString('latin1')
}
