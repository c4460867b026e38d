import { AuditError } from '../errors.js'
import type { TreeHead } from '../tree/checkpoint.js'
import { Frontier, type Hash, hashBytes } from '../tree/merkle.js'
import { hashesOf, tilePath, tileWidth } from '../tree/tiles.js'
import { checkedLeaves, damaged, readOrEmpty, rootOf } from './bundle.js'
import { checkRuns } from './runs.js'

export interface GrowOptions {
  readonly threads?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (checked: number, size: number) => void
}

/**
 * Builds the tree again from the entries alone; every tile that this gives must be the one on disk. No checkpoint changes
 * complete bundles and tiles: they are read once, however many checkpoints are made meanwhile.
 */
export class CheckedTree {
  readonly #folder: string
  /** Complete bundles that were found to be as they were hashed. */
  #bundles = 0
  #gone = 0
  /** By level from 1: the hashes of its last tile, until that is complete. */
  readonly #open: Hash[][] = []
  #damage: AuditError | undefined

  /** What stands below one `log/`. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** Of how many entries only the hashes are there. */
  get gone(): number {
    return this.#gone * tileWidth
  }

  /** Whether something is damaged that no newer checkpoint can mend. */
  get isDamaged(): boolean {
    return this.#damage !== undefined
  }

  /** @throws AuditError AUDIT_CORRUPT naming the first entry that is not what was signed; the signal's reason */
  async growTo({ size, root }: TreeHead, options: GrowOptions = {}): Promise<void> {
    try {
      await this.#growToBundle(Math.floor(size / tileWidth), size, options)
      const width = size % tileWidth
      const leaves = width === 0 ? [] : checkedLeaves(this.#folder, this.#bundles, width).leaves
      options.onProgress?.(size, size)
      const [wrongTile] = this.#damagedOpenTiles(size)
      if (wrongTile) throw wrongTile
      if (!Buffer.from(root).equals(this.#rootWith(leaves)))
        throw damaged(0, 'entries and tiles agree, but the root that was signed is another')
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
      throw [error, ...this.#damagedOpenTiles(size)].reduce(earlier)
    }
  }

  async #growToBundle(end: number, size: number, { threads, signal, onProgress }: GrowOptions): Promise<void> {
    try {
      if (this.#damage) throw this.#damage
      for await (const { roots, gone, damage } of checkRuns(this.#folder, { from: this.#bundles, to: end }, threads)) {
        signal?.throwIfAborted()
        for (const root of roots) this.#append(root)
        this.#gone += gone
        onProgress?.(this.#bundles * tileWidth, size)
        if (damage) throw damaged(damage.index, damage.what)
      }
    } catch (error) {
      if (error instanceof AuditError) this.#damage = error
      throw error
    }
  }

  /** The root of the next complete bundle. */
  #append(root: Hash): void {
    this.#bundles++
    let hash = root
    for (let level = 1; ; level++) {
      const hashes = (this.#open[level] ??= [])
      hashes.push(hash)
      if (hashes.length < tileWidth) return
      const index = Math.floor((this.#bundles - 1) / tileWidth ** level)
      const damage = this.#compareTile(level, index, hashes, tileWidth)
      this.#open[level] = []
      if (damage) throw damage
      hash = rootOf(hashes)
    }
  }

  #damagedOpenTiles(size: number): readonly AuditError[] {
    return [...this.#open.entries()].flatMap(([level, hashes = []]) => {
      const index = Math.floor(this.#bundles / tileWidth ** level)
      const width = Math.min(Math.floor(size / tileWidth ** level) - index * tileWidth, tileWidth)
      return hashes.length === 0 ? [] : (this.#compareTile(level, index, hashes, width) ?? [])
    })
  }

  /** What is wrong with the tile on disk, by as many of its hashes as are known. */
  #compareTile(level: number, index: number, hashes: readonly Hash[], width: number): AuditError | undefined {
    const path = tilePath(level, index, width)
    const tile = readOrEmpty(this.#folder, path)
    const onDisk = hashesOf(tile)
    const wrong = hashes.findIndex((hash, at) => hash !== onDisk[at])
    if (wrong < 0 && (hashes.length < width || tile.length === width * hashBytes)) return undefined
    const entry = (index * tileWidth + Math.max(wrong, 0)) * tileWidth ** level
    return damaged(entry, `${path} does not hold the hashes of the tiles below it`)
  }

  /** Of the whole tree, with the leaves behind the complete bundles. */
  #rootWith(leaves: readonly Hash[]): Buffer {
    const frontier = new Frontier()
    for (const [level, hashes] of [...this.#open.entries()].reverse()) {
      for (const hash of hashes ?? []) frontier.append(hash, 8 * level)
    }
    for (const leaf of leaves) frontier.append(leaf)
    return Buffer.from(frontier.root(), 'latin1')
  }
}

function earlier(one: AuditError, other: AuditError): AuditError {
  return (other.sequence ?? 0) < (one.sequence ?? 0) ? other : one
}
