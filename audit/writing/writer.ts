import { join } from 'node:path'
import type { KeyObject } from 'node:crypto'
import { isDiskFull } from '#protocol'
import { signCheckpoint } from '../tree/checkpoint.js'
import { AuditError } from '../errors.js'
import { requireWitnessed } from '../witness/witnessed.js'
import type { Disk, NewFile } from './disk.js'
import { layout } from '../layout.js'
import type { KeysToErase, PayloadOptions } from '../payload/options.js'
import type { Payloads } from '../payload/payload-buffer.js'
import { PayloadSealer } from '../payload/sealing.js'
import { recover, type Recovered } from './recovery.js'
import { defaultReserveBytes, Reserve } from './reserve.js'
import { Segments } from './segments.js'
import { keysOf, type SigningKeys } from '../tree/signing-keys.js'
import type { TiledTree } from '../tree/tiled-tree.js'
import type { TornTail } from './wal.js'
import { recordsOf, sealRecords } from './wal-record.js'

export interface WriterOptions extends SigningKeys {
  readonly directory: string
  readonly origin: string
  /** Held back for what must be recorded on a full disk too. Default: 64 MiB */
  readonly reserveBytes?: number | undefined
  /** How payloads are committed to and kept. Default: not at all */
  readonly payload?: PayloadOptions | undefined
}

/**
 * What the disk has room for: records and the reserve behind them; records, and nothing to be held back; or only what
 * the reserve was kept for.
 */
export type Room = 'reserved' | 'unreserved' | 'full'

/** What the writer found when it opened the log. */
export interface Opened {
  readonly size: number
  readonly checkpoint: string
  readonly tornTail?: TornTail
}

/** A checkpoint is due when so many records are not covered, however young they are. */
export const recordsPerCheckpoint = 65_536

export interface WriterLimits {
  /** So long after they were written files are synced: the kernel has done it by then, and it costs next to nothing. */
  readonly settleAfterMs: number
  /** More than this is not left to a start to read: files are synced earlier. */
  readonly maxWalBytes: number
  /** A segment takes so much, so that there are few; a reader of the newest records reads it from its start. */
  readonly leastSegmentBytes: number
}

const defaultLimits: WriterLimits = {
  settleAfterMs: 45_000,
  maxWalBytes: 128 * 1024 * 1024,
  leastSegmentBytes: 4 * 1024 * 1024,
}

/** Growing the tree by so many records takes less time than the sync of a batch. */
const recordsPerTurn = 128

/** Complete files of the tree that one checkpoint covers and the ones before it did not. */
interface Unsettled {
  readonly size: number
  readonly paths: readonly string[]
  seenAt?: number
}

/**
 * The only one that writes a log's files. The order that everything rests on:
 *
 * A record is synced in the WAL before it is acknowledged; the WAL is the truth, and `log/` follows it. Bundles and
 * tiles are written as soon as they are complete, without a sync. A checkpoint covers only what is synced in the WAL and
 * written to `log/`, and is synced before anyone sees it. A segment of the WAL goes only after the files that stand for
 * its records were settled, that is synced, long after they were written. So a power cut can take files out of `log/`,
 * and none that recovery cannot make again from the WAL.
 */
export class LogWriter {
  readonly #options: WriterOptions
  #keys: readonly KeyObject[]
  readonly #disk: Disk
  readonly #limits: WriterLimits
  readonly #tree: TiledTree
  readonly #payloads: PayloadSealer | undefined
  readonly #reserve: Reserve
  readonly #segments: Segments
  /** Batches that are durable and not yet in the tree; `#growing` gives what is left of the first. */
  readonly #ungrown: Buffer[] = []
  #ungrownBytes = 0
  #growing: Iterator<Uint8Array, undefined> | undefined
  /** Complete files that are not written yet, and those since the last checkpoint that are, below `log/`. */
  readonly #unwritten: NewFile[] = []
  #complete: string[] = []
  /** There was no room to write them. */
  #isShort = false
  readonly #unsettled: Unsettled[] = []
  /** Partial files below `log/` that the last checkpoint needs. */
  #partials: readonly string[] = []
  #covered = 0

  private constructor(options: WriterOptions, disk: Disk, limits: WriterLimits, { tree, segments }: Recovered) {
    this.#options = options
    this.#keys = keysOf(options)
    this.#disk = disk
    this.#limits = limits
    this.#tree = tree
    this.#payloads = options.payload && new PayloadSealer(options.directory, options.payload)
    const folder = layout.wal(options.directory)
    this.#reserve = new Reserve(disk, folder, options.reserveBytes ?? defaultReserveBytes)
    const { leastSegmentBytes: leastBytes } = limits
    this.#segments = new Segments({ disk, folder, reserve: this.#reserve, leastBytes }, segments, tree.size)
  }

  /** Recovers, and covers all that was found by a checkpoint. @throws AuditError AUDIT_CORRUPT, AUDIT_ROLLED_BACK */
  static async open(
    options: WriterOptions,
    disk: Disk,
    limits = defaultLimits,
  ): Promise<{ writer: LogWriter; opened: Opened }> {
    await disk.makeFolder(layout.log(options.directory))
    await disk.makeFolder(layout.wal(options.directory))
    const recovered = await recover(options.directory, options.origin, keysOf(options))
    if (recovered.unused) disk.cutFile(recovered.unused.path, recovered.unused.bytes) // it may be all the room there is
    const writer = new LogWriter(options, disk, limits, recovered)
    writer.#writeComplete()
    const checkpoint = await writer.#firstCheckpoint(recovered.note)
    await writer.#removeStale(recovered.partials)
    await requireWitnessed(options.directory) // now that all tiles are there again, and before anything new is recorded
    const { tree, tornTail } = recovered
    return { writer, opened: { size: tree.size, checkpoint, ...(tornTail && { tornTail }) } }
  }

  /** Records that the newest checkpoint covers. */
  get covered(): number {
    return this.#covered
  }

  /** Records in the tree that no checkpoint covers. */
  get uncovered(): number {
    return this.#tree.size - this.#covered
  }

  /** Bytes that are durable and not yet in the tree. */
  get ungrownBytes(): number {
    return this.#ungrownBytes
  }

  get room(): Room {
    if (this.#isShort || this.#segments.isOnReserve) return 'full'
    return this.#reserve.isThere ? 'reserved' : 'unreserved'
  }

  /** Makes the reserve where it is missing, and goes on if a full disk has room again. One at a time. */
  async makeRoom(): Promise<void> {
    const isFull = this.room === 'full'
    if (!(await this.#reserve.fill({ andMore: isFull })) || !isFull) return
    this.#segments.leaveReserve()
    this.#isShort = this.#payloads?.sync() !== undefined
    this.#writeComplete()
  }

  /**
   * Durable when it returns; the keys by which the records commit to payloads are so before them. Returns what went
   * wrong, if the disk did not take them at the first attempt.
   */
  write(records: Buffer, payloads?: Payloads): string | undefined {
    const missing = payloads && this.#payloads?.seal(records, payloads)
    if (missing !== undefined) this.#isShort = true
    const count = sealRecords(records)
    const failure = this.#segments.append(records, count)
    this.#ungrown.push(records)
    this.#ungrownBytes += records.length
    return failure ?? missing
  }

  /** Takes into the tree some of what `write` made durable, and tells whether there is more: nobody waits for the hashing. */
  grow(): boolean {
    for (let left = recordsPerTurn; left > 0; left--) {
      const entry = this.#nextEntry()
      if (!entry) return false
      this.#tree.append(entry)
      if (this.#tree.stagedBytes > 0) this.#writeComplete()
    }
    return this.#ungrown.length > 0
  }

  /** From the next checkpoint on. */
  signWith(keys: SigningKeys): void {
    this.#keys = keysOf(keys)
  }

  /** Covers every record taken into the tree so far. One at a time. @throws AuditError AUDIT_FULL: there is no room now */
  async checkpoint(): Promise<string> {
    this.#writeComplete()
    try {
      if (this.room !== 'full') return await this.#checkpoint()
    } catch (error) {
      if (!isDiskFull(error)) throw error
      this.#isShort = true
    }
    throw new AuditError('AUDIT_FULL', 'there is no room for a checkpoint')
  }

  async #checkpoint(): Promise<string> {
    const { directory, origin } = this.#options
    const { size } = this.#tree
    const note = signCheckpoint({ origin, size, root: this.#tree.root() }, ...this.#keys)
    const partials = this.#tree.partials()
    for (const { path, bytes } of partials) {
      if (!this.#partials.includes(path)) this.#disk.writeFile({ path: this.#inLog(path), bytes })
    }
    const complete = this.#complete.splice(0)
    this.#segments.rotate()
    await this.#disk.replaceFile({ path: layout.checkpoint(directory), bytes: Buffer.from(note) })
    // Not before the checkpoint is on disk: a segment that goes must lie below the one that a start finds.
    if (complete.length > 0) this.#unsettled.push({ size, paths: complete })
    const stale = this.#partials
    this.#partials = partials.map(({ path }) => path)
    this.#covered = size
    await this.#removeStale(stale)
    return note
  }

  /** Syncs files whose time has come, and lets go of the segments that stood in for them. One at a time. */
  async settle(now: number): Promise<void> {
    const { settleAfterMs, maxWalBytes } = this.#limits
    for (const unsettled of this.#unsettled) unsettled.seenAt ??= now
    for (let [oldest] = this.#unsettled; oldest; [oldest] = this.#unsettled) {
      const age = now - (oldest.seenAt ?? now)
      if (age < settleAfterMs && this.#segments.bytes <= maxWalBytes) return
      await this.#settleOldest(oldest)
    }
  }

  /** Durable when it returns. @returns how many there were */
  erasePayloadKeys(keys: KeysToErase): number {
    return this.#payloads?.erase(keys) ?? 0
  }

  /** To be called after the last checkpoint: settles all that it covers. What had no room stands in the WAL. */
  async close(): Promise<void> {
    for (let [oldest] = this.#unsettled; oldest; [oldest] = this.#unsettled) await this.#settleOldest(oldest)
    await this.#settleFiles(this.#partials)
    this.#segments.close()
    this.#payloads?.close()
  }

  async #settleOldest({ size, paths }: Unsettled): Promise<void> {
    await this.#settleFiles(paths)
    this.#unsettled.shift()
    await this.#segments.drop(size)
  }

  #nextEntry(): Uint8Array | undefined {
    for (let [records] = this.#ungrown; records; [records] = this.#ungrown) {
      this.#growing ??= recordsOf(records)
      const { value } = this.#growing.next()
      if (value) return value
      this.#growing = undefined
      this.#ungrown.shift()
      this.#ungrownBytes -= records.length
    }
    return undefined
  }

  /** What finds no room waits in memory: the WAL has it. */
  #writeComplete(): void {
    this.#unwritten.push(...this.#tree.takeComplete())
    if (this.room === 'full') return
    try {
      for (let [file] = this.#unwritten; file; [file] = this.#unwritten) {
        this.#disk.writeFile({ path: this.#inLog(file.path), bytes: file.bytes })
        this.#unwritten.shift()
        this.#complete.push(file.path)
      }
    } catch (error) {
      if (!isDiskFull(error)) throw error
      this.#isShort = true
    }
  }

  /** On a full disk the one that is there goes on to be the newest. */
  async #firstCheckpoint(last: string | undefined): Promise<string> {
    try {
      return await this.checkpoint()
    } catch (error) {
      if (last === undefined || this.room !== 'full') throw error
      return last
    }
  }

  async #settleFiles(paths: readonly string[]): Promise<void> {
    await this.#disk.settleFiles(layout.log(this.#options.directory), paths.map(this.#inLog))
  }

  async #removeStale(partials: readonly string[]): Promise<void> {
    for (const path of partials) {
      if (!this.#partials.includes(path)) await this.#disk.removeFile(this.#inLog(path))
    }
  }

  readonly #inLog = (path: string): string => join(layout.log(this.#options.directory), path)
}
