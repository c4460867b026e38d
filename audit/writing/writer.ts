import { join } from 'node:path'
import type { KeyObject } from 'node:crypto'
import { signCheckpoint } from '../tree/checkpoint.js'
import type { Disk, Segment } from './disk.js'
import { layout } from '../layout.js'
import type { PayloadOptions } from '../payload/options.js'
import type { Payloads } from '../payload/payload-buffer.js'
import { PayloadSealer } from '../payload/sealing.js'
import { recover, type Recovered } from './recovery.js'
import type { TiledTree } from '../tree/tiled-tree.js'
import { recordsOf, sealRecords, segmentName, type TornTail } from './wal.js'

export interface WriterOptions {
  readonly directory: string
  readonly origin: string
  readonly signingKey: KeyObject
  /** How records commit to payloads. Default: they cannot */
  readonly payload?: PayloadOptions | undefined
}

/** What the writer found when it opened the log. */
export interface Opened {
  readonly size: number
  readonly checkpoint: string
  readonly tornTail?: TornTail
}

/** A checkpoint is due when so many records are not covered, however young they are. */
export const recordsPerCheckpoint = 65_536

/**
 * The only one that writes a log's files. The order that everything rests on: a record is synced in the WAL before it
 * is acknowledged; bundles and tiles are synced before the checkpoint that covers them is; the checkpoint is synced
 * before anyone sees it and before the segments below it go.
 */
export class LogWriter {
  readonly #options: WriterOptions
  readonly #disk: Disk
  readonly #tree: TiledTree
  readonly #payloads: PayloadSealer | undefined
  #segment: Segment
  #segmentPath: string
  /** Segments before the present one, to be removed once a checkpoint covers them. */
  #olderSegments: string[]
  /** Partial files below the checkpoint on disk: durable, so never written again. */
  #partials: readonly string[]
  #covered = 0

  private constructor(options: WriterOptions, disk: Disk, { tree, partials, segments }: Recovered) {
    this.#options = options
    this.#disk = disk
    this.#tree = tree
    this.#payloads = options.payload && new PayloadSealer(options.directory, options.payload)
    this.#partials = partials
    this.#segmentPath = this.#nextSegmentPath()
    this.#segment = disk.openSegment(this.#segmentPath)
    this.#olderSegments = segments.filter((path) => path !== this.#segmentPath)
  }

  /** Recovers, and covers all that was found by a checkpoint. @throws AuditError AUDIT_CORRUPT */
  static async open(options: WriterOptions, disk: Disk): Promise<{ writer: LogWriter; opened: Opened }> {
    await disk.makeFolder(layout.log(options.directory))
    await disk.makeFolder(layout.wal(options.directory))
    const recovered = await recover(options.directory, options.origin, options.signingKey)
    const writer = new LogWriter(options, disk, recovered)
    const checkpoint = await writer.checkpoint()
    const { tree, tornTail } = recovered
    return { writer, opened: { size: tree.size, checkpoint, ...(tornTail && { tornTail }) } }
  }

  /** Records that are durable and that no checkpoint covers. */
  get uncovered(): number {
    return this.#tree.size - this.#covered
  }

  /** Bytes that wait in memory for the next checkpoint. */
  get stagedBytes(): number {
    return this.#tree.stagedBytes
  }

  /** Durable when it returns; the keys by which the records commit to payloads are so before them. */
  write(records: Buffer, payloads?: Payloads): void {
    if (payloads) this.#payloads?.seal(records, payloads)
    sealRecords(records)
    this.#segment.append(records)
  }

  /** Takes into the tree what `write` made durable; apart from it, so that nobody waits for the hashing. */
  grow(records: Buffer): void {
    for (const entry of recordsOf(records)) this.#tree.append(entry)
  }

  /** Covers every record taken into the tree so far. One at a time. */
  async checkpoint(): Promise<string> {
    const { directory, origin, signingKey } = this.#options
    const { size } = this.#tree
    const note = signCheckpoint({ origin, size, root: this.#tree.root() }, signingKey)
    const complete = this.#tree.takeComplete()
    const partials = this.#tree.partials()
    const fresh = [...complete, ...partials.filter(({ path }) => !this.#partials.includes(path))]
    const coveredSegments = this.#startSegment()
    await this.#disk.writeFiles(fresh.map(({ path, bytes }) => ({ path: this.#inLog(path), bytes })))
    await this.#disk.replaceFile({ path: layout.checkpoint(directory), bytes: Buffer.from(note) })
    const stale = this.#partials.filter((path) => !partials.some((partial) => partial.path === path))
    for (const path of [...coveredSegments, ...stale.map(this.#inLog)]) await this.#disk.removeFile(path)
    this.#partials = partials.map(({ path }) => path)
    this.#covered = size
    return note
  }

  close(): void {
    this.#segment.close()
    this.#payloads?.close()
  }

  /** From here on records go to a segment of their own; gives the segments that hold only what is in the tree. */
  #startSegment(): readonly string[] {
    const path = this.#nextSegmentPath()
    if (path !== this.#segmentPath) {
      this.#segment.close()
      this.#olderSegments.push(this.#segmentPath)
      this.#segment = this.#disk.openSegment(path)
      this.#segmentPath = path
    }
    return this.#olderSegments.splice(0)
  }

  #nextSegmentPath(): string {
    return join(layout.wal(this.#options.directory), segmentName(this.#tree.size))
  }

  readonly #inLog = (path: string): string => join(layout.log(this.#options.directory), path)
}
