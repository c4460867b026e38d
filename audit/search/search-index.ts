import { createHash } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { layout } from '../layout.js'
import { parseCheckpoint } from '../tree/checkpoint.js'
import { tilePath, tileWidth } from '../tree/tiles.js'
import { Bundles, requireEntries } from './bundles.js'
import {
  anyTime,
  type BundleSummary,
  bundlesPerChunk,
  candidatesAmong,
  emptySummary,
  overlaps,
  type Sought,
  summarize,
} from './chunk.js'
import { ChunkFile, encodeChunk } from './chunk-file.js'

/**
 * Which bundles of a log can hold what is sought. Complete chunks are files, the one that is growing is in memory, and
 * of what is in neither nothing is claimed. Everything is made from the log and can be made again; a file is believed
 * only if it names the tile that stands in the log now, so neither damage nor another log's index hides a record.
 */
export class SearchIndex {
  readonly #directory: string
  readonly #bundles: Bundles
  /** Chunks whose files were what they should be. */
  readonly #files = new Map<number, KnownFile>()
  /** Chunks that could not be read or written; tried again when the next one is complete. */
  readonly #skipped = new Set<number>()
  /** There are no files of chunks below. */
  #oldest = 0
  #open: OpenChunk | undefined
  #opening: Promise<void> | undefined
  #catchingUp: Promise<void> | undefined

  constructor(directory: string) {
    this.#directory = directory
    this.#bundles = new Bundles(directory)
  }

  /** Of what comes from this sequence number on the index knows nothing. */
  get end(): number {
    return this.#open === undefined ? 0 : bundleAfter(this.#open) * tileWidth
  }

  /** The bundles of a chunk, by their place in it, that can hold what is sought; undefined where all can. */
  candidates(chunk: number, sought: Sought): readonly number[] | undefined {
    if (chunk === this.#open?.chunk) return candidatesAmong(this.#open.summaries, sought)
    const known = this.#files.get(chunk)
    if (known === undefined) return undefined
    if (!overlaps(known, sought)) return []
    const isWithin = known.earliest >= sought.since && known.latest < sought.until
    const asked = isWithin ? { ...sought, ...anyTime } : sought
    const found = ChunkFile.look(this.#pathOf(chunk), known.tileHash, (file) => file.candidates(asked))
    if (found === undefined) this.#files.delete(chunk) // to be made anew
    return found
  }

  /** Knows what is on disk, and the newest bundles; may know less than all of the older ones. */
  async open(): Promise<void> {
    this.#opening ??= this.#findChunks()
    await this.#opening
  }

  async #findChunks(): Promise<void> {
    const chunk = Math.floor((await this.#completeBundles()) / bundlesPerChunk)
    await this.#findFiles(chunk)
    this.#open = { chunk, summaries: [] }
    await this.#growNewest()
  }

  /**
   * Takes in every complete bundle below the newest checkpoint, makes what is missing, newest first, and removes what is
   * of no use any more. One at a time; a second caller shares the first's.
   */
  async catchUp(): Promise<void> {
    this.#catchingUp ??= this.#catchUp().finally(() => (this.#catchingUp = undefined))
    await this.#catchingUp
  }

  async #catchUp(): Promise<void> {
    await this.open()
    const oldest = Math.floor((await this.#bundles.first()) / bundlesPerChunk)
    await this.#growNewest()
    for (let chunk = this.#newestMissing(oldest); chunk !== undefined; chunk = this.#newestMissing(oldest)) {
      await this.#keep({ chunk, summaries: [] })
      await this.#growNewest()
    }
    await this.#dropBelow(oldest)
  }

  /** Of these chunks retention has taken away the whole. */
  async #dropBelow(oldest: number): Promise<void> {
    if (oldest === this.#oldest) return
    for (const chunk of await this.#chunksOnDisk()) {
      if (chunk >= oldest) continue
      this.#files.delete(chunk)
      await rm(this.#pathOf(chunk), { force: true })
    }
    this.#oldest = oldest
  }

  async #growNewest(): Promise<void> {
    const complete = await this.#completeBundles()
    for (let open = this.#open; open && complete >= (open.chunk + 1) * bundlesPerChunk; open = this.#open) {
      if (await this.#keep(open)) this.#skipped.clear()
      this.#open = { chunk: open.chunk + 1, summaries: [] }
    }
    if (this.#open) await this.#grow(this.#open, complete)
  }

  /** Grows a chunk to its end and makes it a file; false when the log or the disk does not let it. */
  async #keep(open: OpenChunk): Promise<boolean> {
    const { chunk, summaries } = open
    try {
      await this.#grow(open, (chunk + 1) * bundlesPerChunk)
      if (summaries.length < bundlesPerChunk) throw new Error('unreadable')
      const path = this.#pathOf(chunk)
      await mkdir(layout.index(this.#directory), { recursive: true })
      const tileHash = this.#tileHash(chunk)
      writeFileSync(`${path}.tmp`, encodeChunk(tileHash, summaries))
      renameSync(`${path}.tmp`, path) // not synced: what a crash makes of it has no valid checksum
      this.#files.set(chunk, { tileHash, ...spanOf(summaries) })
      return true
    } catch {
      this.#skipped.add(chunk)
      return false
    }
  }

  /** Up to a bundle, and not with it; stops before one that cannot be read. */
  async #grow(open: OpenChunk, end: number): Promise<void> {
    const first = await this.#bundles.first()
    for (let index = bundleAfter(open); index < end; index = bundleAfter(open)) {
      const summary = index < first ? emptySummary : this.#summaryOf(index)
      if (summary === undefined) return
      open.summaries.push(summary)
      await setImmediate() // searches go first
    }
  }

  #summaryOf(index: number): BundleSummary | undefined {
    try {
      const bundle = this.#bundles.read(index)
      return bundle && summarize(requireEntries(bundle, index))
    } catch {
      return undefined // a search that comes by there says what is wrong, and so does `audit verify`
    }
  }

  #newestMissing(oldest: number): number | undefined {
    for (let chunk = (this.#open?.chunk ?? 0) - 1; chunk >= oldest; chunk--) {
      if (!this.#files.has(chunk) && !this.#skipped.has(chunk)) return chunk
    }
    return undefined
  }

  /** The files below a chunk that were made from this log as it stands. */
  async #findFiles(end: number): Promise<void> {
    for (const chunk of await this.#chunksOnDisk()) {
      if (chunk >= end) continue
      const known = this.#look(chunk)
      if (known !== undefined) this.#files.set(chunk, known)
      await setImmediate()
    }
  }

  #look(chunk: number): KnownFile | undefined {
    try {
      const tileHash = this.#tileHash(chunk)
      return ChunkFile.look(this.#pathOf(chunk), tileHash, ({ earliest, latest }) => ({ tileHash, earliest, latest }))
    } catch {
      return undefined // without the tile nothing vouches for the file
    }
  }

  async #chunksOnDisk(): Promise<readonly number[]> {
    const names = await readdir(layout.index(this.#directory)).catch(() => [])
    return names.filter((name) => fileName.test(name)).map((name) => Number.parseInt(name, 10))
  }

  /** The tile whose 256 hashes are those of the chunk's bundles: no other records have it. */
  #tileHash(chunk: number): Buffer {
    const tile = readFileSync(join(layout.log(this.#directory), tilePath(1, chunk)))
    return createHash('sha256').update(tile).digest()
  }

  #pathOf(chunk: number): string {
    return join(layout.index(this.#directory), `${String(chunk).padStart(8, '0')}.idx`)
  }

  async #completeBundles(): Promise<number> {
    const note = await readFile(layout.checkpoint(this.#directory), 'utf8')
    return Math.floor(parseCheckpoint(note).size / tileWidth)
  }
}

const fileName = /^\d{8,}\.idx$/

type ChunkTimes = Omit<BundleSummary, 'terms'>

/** A chunk in a file, and the tile of the log that it was made from. */
interface KnownFile extends ChunkTimes {
  readonly tileHash: Uint8Array
}

/** A chunk of which not all bundles are known yet. */
interface OpenChunk {
  readonly chunk: number
  readonly summaries: BundleSummary[]
}

function bundleAfter({ chunk, summaries }: OpenChunk): number {
  return chunk * bundlesPerChunk + summaries.length
}

function spanOf(summaries: readonly BundleSummary[]): ChunkTimes {
  return {
    earliest: Math.min(...summaries.map(({ earliest }) => earliest)),
    latest: Math.max(...summaries.map(({ latest }) => latest)),
  }
}
