import type { RetentionReason } from '#protocol'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { readTextFile } from '../text-file.js'
import { parseCheckpoint } from '../tree/checkpoint.js'
import { tileWidth } from '../tree/tiles.js'
import { firstWholeBundle } from '../writing/segments.js'
import { listSegments } from '../writing/wal.js'
import { BundlesOnDisk } from './bundles-on-disk.js'
import { readMinimum } from './minimum.js'

/** What is to be kept; what is absent bounds nothing. */
export interface Keep {
  /** Milliseconds since 1970: no record from this moment on goes by its age. */
  readonly since?: number
  /** So much may the complete bundles take; the tiles, which stay for ever, do not count. */
  readonly bytes?: number
}

export interface Survey {
  /** Everything below is gone, or about to go. */
  readonly minimumIndex: number
  /** What the complete bundles above take. */
  readonly bytes: number
  /** What goes by the bounds. */
  readonly prunable?: Prunable
}

export interface Prunable {
  /** The minimum index that it leads to. */
  readonly to: number
  readonly bytes: number
  readonly reason: RetentionReason
}

/**
 * Says what a log holds, and which bundles from its front need not be kept. Complete ones only: those that a checkpoint
 * covers, that no segment of the write-ahead log would make again, and never the last.
 * @throws AuditError AUDIT_CORRUPT
 */
export async function survey(directory: string, keep: Keep, bundles = new BundlesOnDisk(directory)): Promise<Survey> {
  const checkpoint = await readTextFile(layout.checkpoint(directory), 'log/checkpoint')
  if (checkpoint === undefined) throw new AuditError('AUDIT_CORRUPT', `there is no log/checkpoint in ${directory}`)
  const covered = parseCheckpoint(checkpoint).size
  const [oldest] = await listSegments(layout.wal(directory))
  const standsAlone = oldest ? firstWholeBundle(oldest.first) : Infinity
  const minimumIndex = (await readMinimum(directory))?.index ?? 0
  const first = minimumIndex / tileWidth
  const limit = Math.min(standsAlone, Math.ceil(covered / tileWidth) - 1)

  const bytes = await bundles.bytes(first, Math.floor(covered / tileWidth))
  const bySize = await firstWithin(bundles, first, limit, bytes - (keep.bytes ?? Infinity))
  const byAge = await firstSince(bundles, bySize, limit, keep.since ?? -Infinity)
  if (byAge <= first) return { minimumIndex, bytes }
  const reason = byAge > bySize ? 'age' : 'size'
  const prunable = { to: byAge * tileWidth, bytes: await bundles.bytes(first, byAge), reason } as const
  return { minimumIndex, bytes, prunable }
}

/** The bundle before which there is more than what is too much. */
async function firstWithin(bundles: BundlesOnDisk, first: number, limit: number, tooMuch: number): Promise<number> {
  let index = first
  for (let left = tooMuch; left > 0 && index < limit; index++) left -= await bundles.bytesOf(index)
  return index
}

/** The first bundle of which a record is young enough to stay; those behind it stay, however old. */
async function firstSince(bundles: BundlesOnDisk, first: number, limit: number, since: number): Promise<number> {
  if (since === -Infinity) return first
  let index = first
  while (index < limit && (await bundles.newestTime(index)) < since) index++
  return index
}
