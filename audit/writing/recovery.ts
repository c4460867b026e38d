import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { KeyObject } from 'node:crypto'
import { type TreeHead, verifierKeyOf, verifyCheckpoint } from '../tree/checkpoint.js'
import { sequenceOf } from '../entries/read-entry.js'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { readTextFile } from '../text-file.js'
import { firstWholeBundle, type KeptSegment } from './segments.js'
import type { TiledTree } from '../tree/tiled-tree.js'
import { tileWidth } from '../tree/tiles.js'
import { requireRoot, treeAt } from '../tree/tree-at.js'
import { listSegments, readWal, type TornTail, type WalPosition } from './wal.js'

export interface Recovered {
  /** With the complete files that the WAL stands for: none of them is known to be on disk. */
  readonly tree: TiledTree
  /** Partial files of the checkpoint on disk, below `log/`. */
  readonly partials: readonly string[]
  /** The segments that the records were read from. */
  readonly segments: readonly KeptSegment[]
  readonly tornTail: TornTail | undefined
  /** Room that a crash has left to the last segment, behind its records. */
  readonly unused: KeptSegment | undefined
  /** The newest checkpoint, if there is one. */
  readonly note: string | undefined
}

/**
 * Rebuilds the tree: from the complete tiles below the first bundle that the WAL holds from its start, then from the
 * WAL's records. On the way it must have the root of the newest checkpoint. Files that the WAL stands for are not read:
 * a power cut may have taken or torn them, so they are made again. What lies below is not read either; that is what
 * `verifyLog` is for.
 * @throws AuditError AUDIT_CORRUPT when the folder does not hold what the checkpoint promises
 */
export async function recover(directory: string, origin: string, keys: readonly KeyObject[]): Promise<Recovered> {
  const note = await readTextFile(layout.checkpoint(directory), 'log/checkpoint')
  const head =
    note === undefined
      ? undefined
      : trusted(
          note,
          keys.map((key) => verifierKeyOf(origin, key)),
        )
  const covered = head?.size ?? 0
  const segments = await keptSegments(layout.wal(directory))
  const first = segments[0]?.first
  const start = firstWholeBundle(first ?? 0) * tileWidth
  if (first === undefined ? covered > 0 : start > covered) {
    throw corrupt(`wal/ begins with ${first ?? 'nothing'}, the checkpoint ends with record ${covered - 1}`)
  }

  const tree = await treeAt(directory, start)
  let partials: readonly string[] = []
  let tornTail: TornTail | undefined
  let last: WalPosition | undefined
  if (head && start === covered) requireRoot(tree, head)
  for await (const { sequence, entry, end } of readWal(layout.wal(directory), (tail) => (tornTail = tail))) {
    last = end
    if (sequence < start) continue
    requireSequence(entry, sequence)
    tree.append(entry)
    if (!head || tree.size !== covered) continue
    requireRoot(tree, head)
    partials = tree.partials().map(({ path }) => path)
  }
  if (tree.size < covered) throw corrupt(`wal/ ends with record ${tree.size - 1}, the checkpoint with ${covered - 1}`)
  const unused = tornTail ? undefined : unusedOf(segments.at(-1), last)
  return { tree, partials, segments: unused ? segments.with(-1, unused) : segments, tornTail, unused, note }
}

/** The segment as it should be: without what was allocated for records that never came, see reserve.ts. */
function unusedOf(segment: KeptSegment | undefined, last: WalPosition | undefined): KeptSegment | undefined {
  if (!segment || !last || basename(segment.path) !== last.segment || segment.bytes <= last.at) return undefined
  return { ...segment, bytes: last.at }
}

async function keptSegments(folder: string): Promise<readonly KeptSegment[]> {
  const kept: KeptSegment[] = []
  for (const { first, generation, name } of await listSegments(folder)) {
    const path = join(folder, name)
    kept.push({ path, first, generation, bytes: (await stat(path)).size })
  }
  return kept
}

function trusted(note: string, verifierKeys: readonly string[]): TreeHead {
  try {
    return verifyCheckpoint(note, ...verifierKeys)
  } catch (cause) {
    throw new AuditError('AUDIT_CORRUPT', 'log/checkpoint is not one that this log has signed', { cause })
  }
}

function requireSequence(entry: Uint8Array, sequence: number): void {
  if (sequenceOf(entry) !== sequence) throw corrupt(`the record at ${sequence} says another place`)
}

function corrupt(problem: string): AuditError {
  return new AuditError('AUDIT_CORRUPT', problem)
}
