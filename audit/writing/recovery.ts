import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyObject } from 'node:crypto'
import { verifierKeyOf, verifyCheckpoint } from '../tree/checkpoint.js'
import { decodeEntry } from '../entries/entry.js'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { type Hash, hashBytes, hashLeaf } from '../tree/merkle.js'
import { TiledTree } from '../tree/tiled-tree.js'
import { bundlePath, decodeBundle, hashesOf, partialWidth, tilePath, tileWidth } from '../tree/tiles.js'
import { listSegments, orNothing, readWal, type TornTail } from './wal.js'

export interface Recovered {
  readonly tree: TiledTree
  /** Partial files that the checkpoint on disk stands on, below `log/`. */
  readonly partials: readonly string[]
  /** Paths of the segments that the records above it were read from. */
  readonly segments: readonly string[]
  readonly tornTail: TornTail | undefined
}

/**
 * Rebuilds the tree: from the last tiles of the newest checkpoint, which must have its root, then from the records that
 * came after it. What lies below the checkpoint is not read again; that is what `verifyLog` is for.
 * @throws AuditError AUDIT_CORRUPT when the folder does not hold what the checkpoint promises
 */
export async function recover(directory: string, origin: string, key: KeyObject): Promise<Recovered> {
  const note = await readFile(layout.checkpoint(directory), 'utf8').catch(orNothing(undefined))
  const tree = note === undefined ? new TiledTree() : await treeAt(directory, note, verifierKeyOf(origin, key))
  const covered = tree.size
  const partials = tree.partials().map(({ path }) => path)
  const segments = await listSegments(layout.wal(directory))
  const first = segments[0]?.first
  if (first === undefined ? covered > 0 : first > covered) {
    throw corrupt(`wal/ begins with ${first ?? 'nothing'}, the checkpoint ends with record ${covered - 1}`)
  }
  let tornTail: TornTail | undefined
  let end = first ?? 0
  for await (const { sequence, entry } of readWal(layout.wal(directory), (tail) => (tornTail = tail))) {
    end = sequence + 1
    if (sequence < covered) continue
    requireSequence(entry, sequence)
    tree.append(entry)
  }
  if (end < covered) throw corrupt(`wal/ ends with record ${end - 1}, the checkpoint with ${covered - 1}`)
  return { tree, partials, segments: segments.map(({ name }) => join(layout.wal(directory), name)), tornTail }
}

async function treeAt(directory: string, note: string, verifierKey: string): Promise<TiledTree> {
  const { size, root } = trusted(note, verifierKey)
  const read = async (path: string) => await readFile(join(layout.log(directory), path)).catch(missing(path))
  const tiles: (readonly Hash[])[] = []
  for (let level = 0; size >= tileWidth ** level; level++) {
    const width = partialWidth(size, level)
    const path = tilePath(level, Math.floor(size / tileWidth ** (level + 1)), width)
    const tile = width === 0 ? Buffer.alloc(0) : await read(path)
    if (tile.length !== width * hashBytes) throw corrupt(`${path} does not hold ${width} hashes`)
    tiles.push(hashesOf(tile))
  }
  const width = partialWidth(size)
  const path = bundlePath(Math.floor(size / tileWidth), width)
  const entries = width === 0 ? [] : decodeBundle(await read(path), width, path)
  entries.forEach((entry, at) => {
    if (hashLeaf(entry) !== tiles[0]?.[at]) {
      throw corrupt(`${path}: entry ${size - width + at} is not the one that was hashed`)
    }
  })
  const tree = new TiledTree({ size, entries, tiles })
  if (!Buffer.from(root).equals(tree.root()))
    throw corrupt(`the tiles do not have the root of the checkpoint of size ${size}`)
  return tree
}

function trusted(note: string, verifierKey: string): { size: number; root: Uint8Array } {
  try {
    return verifyCheckpoint(note, verifierKey)
  } catch (cause) {
    throw new AuditError('AUDIT_CORRUPT', 'log/checkpoint is not one that this log has signed', { cause })
  }
}

function requireSequence(entry: Uint8Array, sequence: number): void {
  if (decodeEntry(entry).sequence !== sequence) throw corrupt(`the record at ${sequence} says another place`)
}

function missing(path: string): (cause: unknown) => never {
  return (cause) => {
    throw new AuditError('AUDIT_CORRUPT', `cannot read ${path}`, { cause })
  }
}

function corrupt(problem: string): AuditError {
  return new AuditError('AUDIT_CORRUPT', problem)
}
