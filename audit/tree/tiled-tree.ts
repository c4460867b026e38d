import type { NewFile } from '../writing/disk.js'
import { Frontier, type Hash, hashLeaf } from './merkle.js'
import { bundlePath, encodeBundle, encodeTile, tilePath, tileWidth } from './tiles.js'

/** A file of the tree, and which entries stand behind it: each of its items stands for `each` of them. */
export interface TreeFile extends NewFile {
  readonly first: number
  readonly each: number
}

/** The last tile of one level, from its first hash to the last that exists. */
interface OpenTile {
  readonly level: number
  index: number
  readonly hashes: Hash[]
}

/** What a tree of `size` entries has open: the incomplete bundle, and the incomplete tile of each level from 0 up. */
export interface TreeState {
  readonly size: number
  readonly entries: readonly Uint8Array[]
  readonly tiles: readonly (readonly Hash[])[]
}

/** Grows the Merkle tree entry by entry, and hands out the files that hold it. */
export class TiledTree {
  size: number
  /** Bytes of complete bundles that nobody has fetched yet. */
  stagedBytes = 0
  readonly #frontier = new Frontier((height, hash) => this.#keep(height, hash))
  readonly #tiles: OpenTile[] = []
  #entries: Uint8Array[] = []
  #staged: TreeFile[] = []
  #resuming = true

  constructor({ size, entries, tiles }: TreeState = { size: 0, entries: [], tiles: [] }) {
    this.size = size
    this.#entries = [...entries]
    tiles.forEach((hashes, level) => {
      this.#tiles[level] = { level, index: Math.floor(size / tileWidth ** (level + 1)), hashes: [...hashes] }
    })
    for (const [level, hashes] of [...tiles.entries()].reverse()) {
      for (const hash of hashes) this.#frontier.append(hash, 8 * level)
    }
    this.#resuming = false
  }

  /** Grows on its own; what is complete stays with this one. */
  copy(): TiledTree {
    return new TiledTree({
      size: this.size,
      entries: this.#entries,
      tiles: this.#tiles.map(({ hashes }) => hashes),
    })
  }

  append(entry: Uint8Array): void {
    this.#entries.push(entry)
    this.#frontier.append(hashLeaf(entry))
    this.size++
    if (this.#entries.length < tileWidth) return
    this.#stage(this.#bundle(this.size - tileWidth))
    this.#entries = []
  }

  root(): Uint8Array {
    return Buffer.from(this.#frontier.root(), 'latin1')
  }

  /** The complete files since the last call. */
  takeComplete(): readonly TreeFile[] {
    const staged = this.#staged
    this.#staged = []
    this.stagedBytes = 0
    return staged
  }

  /** What is incomplete now, as partial files. */
  partials(): readonly TreeFile[] {
    const files = this.#tiles.filter(({ hashes }) => hashes.length > 0).map(fileOf)
    return this.#entries.length === 0 ? files : [...files, this.#bundle(this.size - this.#entries.length)]
  }

  /** A tile of level L holds the roots of subtrees of height 8 L. */
  #keep(height: number, hash: Hash): void {
    if (this.#resuming || height % 8 !== 0) return
    const level = height / 8
    const tile = (this.#tiles[level] ??= { level, index: 0, hashes: [] })
    tile.hashes.push(hash)
    if (tile.hashes.length < tileWidth) return
    this.#stage(fileOf(tile))
    tile.index++
    tile.hashes.length = 0
  }

  #bundle(first: number): TreeFile {
    const path = bundlePath(first / tileWidth, this.#entries.length)
    return { path, bytes: encodeBundle(this.#entries), first, each: 1 }
  }

  #stage(file: TreeFile): void {
    this.#staged.push(file)
    this.stagedBytes += file.bytes.length
  }
}

function fileOf({ level, index, hashes }: OpenTile): TreeFile {
  const each = tileWidth ** level
  return {
    path: tilePath(level, index, hashes.length),
    bytes: encodeTile(hashes),
    first: index * tileWidth * each,
    each,
  }
}
