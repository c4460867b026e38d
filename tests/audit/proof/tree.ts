import type { ReadNode } from '../../../audit/proof/nodes.js'
import { Frontier, hashLeaf, hashNode } from '../../../audit/tree/merkle.js'

/** The leaves of certificate-transparency's merkle tree tests. */
export const vectorLeaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((hex) => Buffer.from(hex, 'hex'))

/** A tree in memory, for any size up to that of its leaves. */
export function treeOf(entries: readonly Uint8Array[]) {
  const leaves = entries.map(hashLeaf)
  const read: ReadNode = async (height, index) => {
    if (height === 0) return leaves[index] ?? ''
    return hashNode(await read(height - 1, index * 2), await read(height - 1, index * 2 + 1))
  }
  const head = (size: number) => {
    const frontier = new Frontier()
    for (const leaf of leaves.slice(0, size)) frontier.append(leaf)
    return { size, root: Buffer.from(frontier.root(), 'latin1') }
  }
  return { read, head }
}
