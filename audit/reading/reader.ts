import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { AuditRecord } from '#protocol'
import { parseCheckpoint } from '../tree/checkpoint.js'
import { decodeEntry } from '../entries/read-entry.js'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { bundlePath, decodeBundle, tileWidth } from '../tree/tiles.js'
import { readMinimum } from '../retention/minimum.js'
import { positionBefore, readWal, type WalPosition } from '../writing/wal.js'

/**
 * Reads the records of a log that may be growing: bundles up to the checkpoint, the write-ahead log above it. A
 * checkpoint can take files away while they are read; then they are found again below the newer checkpoint. Much can
 * lie above the checkpoint, and the broker lives in the same thread: so every bundle's worth of records it gets its turn.
 */
export class LogReader {
  readonly #directory: string
  /** Where the last record of the write-ahead log was read, so that a follower need not read a segment again. */
  #walPosition: WalPosition | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Both ends included; the caller knows that they were written. @throws AuditError AUDIT_GONE */
  async *forward(from: number, to: number): AsyncGenerator<AuditRecord, void> {
    for (let next = from; next <= to;) {
      const entries = await this.#entriesFrom(next, to)
      for (const entry of entries) {
        if (next % tileWidth === 0) await setImmediate()
        yield this.#decode(entry, next++)
      }
    }
  }

  /** The first record that is kept, whatever is still on disk below it. */
  async first(): Promise<number> {
    return (await readMinimum(this.#directory))?.index ?? 0
  }

  /**
   * From `from` down to `to`, both included, or to the first that is kept; in memory at a time only what no checkpoint
   * covers, or one bundle.
   */
  async *backward(from: number, to = 0): AsyncGenerator<AuditRecord, void> {
    for (let next = from; next >= to;) {
      const covered = await this.#covered()
      const first = Math.max(to, next >= covered ? covered : next - (next % tileWidth))
      const entries = await this.entries(first, next).catch(orNothingGone)
      if (!entries) return
      for (const entry of entries.toReversed()) {
        if (next % tileWidth === 0) await setImmediate()
        yield this.#decode(entry, next--)
      }
    }
  }

  /** One entry, in the bytes that were hashed; the caller knows that it is there. */
  async entry(sequence: number): Promise<Uint8Array> {
    const [entry] = await this.#entriesFrom(sequence, sequence)
    if (entry) return entry
    throw new AuditError('AUDIT_CORRUPT', `cannot read record ${sequence}`, { sequence })
  }

  /** The same of several, both ends included. */
  async entries(first: number, last: number): Promise<readonly Uint8Array[]> {
    const pieces: (readonly Uint8Array[])[] = []
    for (let at = first; at <= last;) {
      const piece = await this.#entriesFrom(at, last)
      pieces.push(piece)
      at += piece.length
    }
    return pieces.flat()
  }

  /** At least one entry: the rest of a bundle, or all that the write-ahead log has up to `to`. */
  async #entriesFrom(first: number, to: number): Promise<readonly Uint8Array[]> {
    for (let tried: number | undefined; ;) {
      const covered = await this.#covered()
      let cause: unknown
      try {
        const entries = first < covered ? await this.#bundleFrom(first, covered) : await this.#walFrom(first, to)
        if (entries.length > 0) return entries.slice(0, to - first + 1)
      } catch (error) {
        cause = error
      }
      const kept = await this.first()
      if (first < kept) throw gone(first, kept)
      if (covered === tried) throw unreadable(first, cause)
      tried = covered
    }
  }

  async #bundleFrom(first: number, covered: number): Promise<readonly Uint8Array[]> {
    const index = Math.floor(first / tileWidth)
    const width = Math.min(tileWidth, covered - index * tileWidth)
    const path = bundlePath(index, width)
    const bundle = await readFile(join(layout.log(this.#directory), path))
    return decodeBundle(bundle, width, path).slice(first - index * tileWidth)
  }

  /** Nothing when the segment that held `first` has gone since. */
  async #walFrom(first: number, to: number): Promise<readonly Uint8Array[]> {
    const folder = layout.wal(this.#directory)
    const start = this.#walPosition?.sequence === first ? this.#walPosition : await positionBefore(folder, first)
    this.#walPosition = undefined
    const entries: Uint8Array[] = []
    for await (const { sequence, entry, end } of readWal(folder, undefined, start)) {
      if (sequence > to || (sequence > first && entries.length === 0)) break
      if (sequence >= first) entries.push(entry)
      this.#walPosition = end
    }
    return entries
  }

  async #covered(): Promise<number> {
    return parseCheckpoint(await readFile(layout.checkpoint(this.#directory), 'utf8')).size
  }

  #decode(entry: Uint8Array, sequence: number): AuditRecord {
    const record = decodeEntry(entry)
    if (record.sequence !== sequence) throw new AuditError('AUDIT_CORRUPT', `record ${sequence} says another place`)
    return record
  }
}

/** `first` is where the log begins now. */
export function gone(sequence: number, first: number): AuditError {
  const what = `record ${sequence} is not kept any more: the log begins with record ${first}`
  return new AuditError('AUDIT_GONE', what, { sequence })
}

function unreadable(sequence: number, cause: unknown): AuditError {
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  return new AuditError('AUDIT_CORRUPT', `cannot read record ${sequence}${why}`, { cause, sequence })
}

function orNothingGone(error: unknown): undefined {
  if (error instanceof AuditError && error.code === 'AUDIT_GONE') return
  throw error
}
