import { hash } from 'node:crypto'
import { maxEntryBytes } from '../entries/write-entry.js'

/**
 * A SHA-256 as a string of 32 characters, each standing for a byte (latin1). Two of them are made for every record, and
 * a string costs a fraction of a buffer, in time and in work for the garbage collector.
 */
export type Hash = string

export const hashBytes = 32

const leafRoom = new ArrayBuffer(1 + maxEntryBytes)
const leafInput = new Uint8Array(leafRoom)
const nodeInput = Buffer.alloc(1 + 2 * hashBytes).fill(1, 0, 1)

/** RFC 6962 §2.1: the prefixes keep a leaf from passing as a node. */
export function hashLeaf(entry: Uint8Array): Hash {
  leafInput.set(entry, 1)
  return sha256(new Uint8Array(leafRoom, 0, 1 + entry.length)) // cheaper than subarray
}

export function hashNode(left: Hash, right: Hash): Hash {
  nodeInput.write(left, 1, 'latin1')
  nodeInput.write(right, 1 + hashBytes, 'latin1')
  return sha256(nodeInput)
}

interface Peak {
  readonly height: number
  readonly hash: Hash
}

/**
 * A Merkle tree that only grows, kept as the roots of its complete subtrees, the largest first. `onNode` hears of each
 * complete subtree once, when it comes to be; leaves have height 0.
 */
export class Frontier {
  readonly #peaks: Peak[] = []
  readonly #onNode: (height: number, hash: Hash) => void

  constructor(onNode: (height: number, hash: Hash) => void = () => undefined) {
    this.#onNode = onNode
  }

  /** Adds the root of the next complete subtree of `height`; the tree before it must be made of such or larger ones. */
  append(hash: Hash, height = 0): void {
    let peak: Peak = { height, hash }
    this.#onNode(height, hash)
    for (let left = this.#peaks.at(-1); left?.height === peak.height; left = this.#peaks.at(-1)) {
      this.#peaks.pop()
      peak = { height: peak.height + 1, hash: hashNode(left.hash, peak.hash) }
      this.#onNode(peak.height, peak.hash)
    }
    this.#peaks.push(peak)
  }

  /** RFC 6962 §2.1; of an empty tree the hash of nothing. */
  root(): Hash {
    const hashes = this.#peaks.map(({ hash }) => hash)
    return hashes.length === 0 ? sha256(Buffer.alloc(0)) : hashes.reduceRight((right, left) => hashNode(left, right))
  }
}

function sha256(bytes: Uint8Array): Hash {
  return hash('sha256', bytes, 'binary')
}
