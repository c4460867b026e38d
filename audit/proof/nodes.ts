import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCheckpoint } from '../tree/checkpoint.js'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { type Hash, hashBytes, hashNode } from '../tree/merkle.js'
import { hashesOf, tilePath, tileWidth } from '../tree/tiles.js'
import { orNothing } from '../or-nothing.js'

/** The root of the complete subtree of so many levels (0: a leaf) that is the `index`th of its size. */
export type ReadNode = (height: number, index: number) => Promise<Hash>

/** Tiles hold every eighth level; what lies between is hashed from them. */
const tileHeight = 8
/** Proofs of one tree share their upper tiles, and a proof needs few others. */
const keptTiles = 64

/** RFC 6962 §2.1 over the leaves `from` up to, not with, `to`, which must be a range that a proof is made of. */
export async function rootOfRange(from: number, to: number, read: ReadNode): Promise<Hash> {
  const size = to - from
  const left = greatestPowerBelow(size)
  if (size === 1 || left * 2 === size) return await read(Math.log2(size), from / size)
  return hashNode(await rootOfRange(from, from + left, read), await rootOfRange(from + left, to, read))
}

/** Of a size of two or more: where its left subtree ends (RFC 6962 §2.1). */
export function greatestPowerBelow(size: number): number {
  let power = 1
  while (power * 2 < size) power *= 2
  return power
}

/**
 * Reads nodes from the tiles of a log that may be growing, for any tree size that its newest checkpoint has reached.
 * What it reads is not checked: a proof is checked against the root that was signed.
 */
export class TileNodes {
  readonly #directory: string
  #covered = 0
  readonly #tiles = new Map<string, readonly Hash[]>()

  constructor(directory: string) {
    this.#directory = directory
  }

  readonly read: ReadNode = async (height, index) => {
    const level = Math.floor(height / tileHeight)
    const each = 2 ** (height % tileHeight)
    const first = index * each
    const hashes = await this.#hashes(level, Math.floor(first / tileWidth), (first % tileWidth) + each)
    return pairUp(hashes.slice(first % tileWidth, (first % tileWidth) + each))
  }

  /** At least so many hashes of a tile. */
  async #hashes(level: number, index: number, count: number): Promise<readonly Hash[]> {
    const name = `${level}/${index}`
    const kept = this.#tiles.get(name)
    if (kept && kept.length >= count) return kept
    for (let tried: number | undefined; ;) {
      const hashes = await this.#readTile(level, index)
      if (hashes.length >= count) return this.#keep(name, hashes)
      // A newer checkpoint takes the older one's partial files away: look again below it, unless nothing has changed.
      this.#covered = await this.#newestSize()
      if (this.#covered === tried)
        throw new AuditError(
          'AUDIT_CORRUPT',
          `${tilePath(level, index)} does not hold ${count} hashes, nor does a part of it`,
        )
      tried = this.#covered
    }
  }

  async #readTile(level: number, index: number): Promise<readonly Hash[]> {
    const width = Math.min(Math.floor(this.#covered / tileWidth ** level) - index * tileWidth, tileWidth)
    if (width <= 0) return []
    const path = join(layout.log(this.#directory), tilePath(level, index, width))
    const bytes = await readFile(path).catch(orNothing(Buffer.alloc(0)))
    return bytes.length === width * hashBytes ? hashesOf(bytes) : []
  }

  #keep(name: string, hashes: readonly Hash[]): readonly Hash[] {
    const [oldest] = this.#tiles.keys()
    if (oldest !== undefined && this.#tiles.size >= keptTiles) this.#tiles.delete(oldest)
    this.#tiles.set(name, hashes)
    return hashes
  }

  async #newestSize(): Promise<number> {
    return parseCheckpoint(await readFile(layout.checkpoint(this.#directory), 'utf8')).size
  }
}

function pairUp(hashes: readonly Hash[]): Hash {
  const [first = '', second] = hashes
  if (second === undefined) return first
  const middle = hashes.length / 2
  return hashNode(pairUp(hashes.slice(0, middle)), pairUp(hashes.slice(middle)))
}
