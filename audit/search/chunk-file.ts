import { closeSync, openSync, readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { anyTime, type BundleSummary, bundlesPerChunk, overlaps, type Sought } from './chunk.js'

/*
 * One chunk of the index as a file, written once and never changed:
 *
 *   "TMINDEX1"                          the form
 *   32 bytes                            SHA-256 of the chunk's tile of level 1: which records it was made from
 *   256 × [f64 earliest][f64 latest]    the times of each bundle
 *   256 × [u32 end][u32 CRC-32]         the buckets that follow: terms with the same highest byte
 *   [u32 CRC-32]                        of all this
 *   buckets                             [u24 rest of the term][u8 how many bundles - 1][which], in ascending order
 *
 * Up to 32 bundles stand there one by one, more as a map of 256 bits, and all 256 need no word. Numbers are big-endian.
 * A look reads the head and the buckets of its terms, and believes only what its checksum confirms.
 */

const form = Buffer.from('TMINDEX1')
const tileHashBytes = 32
const timesAt = form.length + tileHashBytes
const bucketsAt = timesAt + 16 * bundlesPerChunk
const buckets = 256
const headChecksumAt = bucketsAt + 8 * buckets
const headBytes = headChecksumAt + 4

const mostListed = 32
const mapBytes = bundlesPerChunk / 8

export function encodeChunk(tileHash: Uint8Array, summaries: readonly BundleSummary[]): Buffer {
  const parts = encodeBuckets(summaries)
  const head = Buffer.alloc(headBytes)
  form.copy(head)
  head.set(tileHash, form.length)
  for (const [place, { earliest, latest }] of summaries.entries()) {
    head.writeDoubleBE(earliest, timesAt + 16 * place)
    head.writeDoubleBE(latest, timesAt + 16 * place + 8)
  }
  let end = headBytes
  for (const [bucket, part] of parts.entries()) {
    end += part.length
    head.writeUInt32BE(end, bucketsAt + 8 * bucket)
    head.writeUInt32BE(crc32(part), bucketsAt + 8 * bucket + 4)
  }
  head.writeUInt32BE(crc32(head.subarray(0, headChecksumAt)), headChecksumAt)
  return Buffer.concat([head, ...parts])
}

/** A chunk's file, open to be looked into. */
export class ChunkFile {
  readonly #file: number
  readonly #head: Buffer

  private constructor(file: number, head: Buffer) {
    this.#file = file
    this.#head = head
  }

  /** What `look` finds in the file; undefined where it is missing, damaged, or made from another tile than this. */
  static look<Found>(path: string, tileHash: Uint8Array, look: (file: ChunkFile) => Found): Found | undefined {
    let file: number | undefined
    try {
      file = openSync(path, 'r')
      const head = readAt(file, 0, headBytes)
      const isWhole = crc32(head.subarray(0, headChecksumAt)) === head.readUInt32BE(headChecksumAt)
      const isSought = head.subarray(0, timesAt).equals(Buffer.concat([form, tileHash]))
      return isWhole && isSought ? look(new ChunkFile(file, head)) : undefined
    } catch {
      return undefined // whatever it is: what the index cannot say, the log can
    } finally {
      if (file !== undefined) closeSync(file)
    }
  }

  get earliest(): number {
    return Math.min(...this.#bundleTimes().map(({ earliest }) => earliest))
  }

  get latest(): number {
    return Math.max(...this.#bundleTimes().map(({ latest }) => latest))
  }

  /** The bundles, by their place in the chunk, that can hold what is sought. @throws Error for a damaged bucket */
  candidates(sought: Sought): readonly number[] {
    let places = isAnyTime(sought) ? allPlaces : this.#placesWithin(sought)
    for (const term of sought.terms) {
      if (places.length === 0) break
      const isIn = this.#bundlesOf(term)
      places = places.filter((place) => isIn[place])
    }
    return places
  }

  #placesWithin(sought: Sought): readonly number[] {
    return this.#bundleTimes().flatMap((times, place) => (overlaps(times, sought) ? [place] : []))
  }

  #bundleTimes() {
    return Array.from({ length: bundlesPerChunk }, (_, place) => ({
      earliest: this.#head.readDoubleBE(timesAt + 16 * place),
      latest: this.#head.readDoubleBE(timesAt + 16 * place + 8),
    }))
  }

  #bundlesOf(term: number): readonly boolean[] {
    const sought = term & 0xffffff
    const bytes = this.#bucket(term >>> 24)
    for (let at = 0; at < bytes.length;) {
      const rest = bytes.readUIntBE(at, 3)
      const count = bytes.readUInt8(at + 3) + 1
      if (rest >= sought) return rest === sought ? placesAt(bytes, at + 4, count) : []
      at += 4 + placesBytes(count)
    }
    return []
  }

  #bucket(bucket: number): Buffer {
    const begin = bucket === 0 ? headBytes : this.#head.readUInt32BE(bucketsAt + 8 * (bucket - 1))
    const end = this.#head.readUInt32BE(bucketsAt + 8 * bucket)
    const bytes = readAt(this.#file, begin, end - begin)
    if (crc32(bytes) !== this.#head.readUInt32BE(bucketsAt + 8 * bucket + 4)) throw new Error('damaged')
    return bytes
  }
}

const allPlaces: readonly number[] = [...Array(bundlesPerChunk).keys()]

function isAnyTime({ since, until }: Sought): boolean {
  return since === anyTime.since && until === anyTime.until
}

function readAt(file: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  if (readSync(file, bytes, 0, length, position) < length) throw new Error('cut short')
  return bytes
}

function encodeBuckets(summaries: readonly BundleSummary[]): readonly Buffer[] {
  const pairs = sortedPairs(summaries)
  const bytes = Buffer.allocUnsafe(5 * pairs.length) // the most is what terms of a single bundle take
  const ends: number[] = []
  let at = 0
  for (let next = 0; next < pairs.length;) {
    const term = termOf(pairs[next])
    const places: number[] = []
    for (; next < pairs.length && termOf(pairs[next]) === term; next++) places.push(placeOf(pairs[next]))
    while (ends.length < term >>> 24) ends.push(at)
    at = bytes.writeUIntBE(term & 0xffffff, at, 3)
    at = bytes.writeUInt8(places.length - 1, at)
    at = writePlaces(bytes, at, places)
  }
  while (ends.length < buckets) ends.push(at)
  return ends.map((end, bucket) => bytes.subarray(ends[bucket - 1] ?? 0, end))
}

/** Each term of each bundle as one number, in order: so a term's bundles stand beside each other. */
function sortedPairs(summaries: readonly BundleSummary[]): Float64Array {
  const pairs = new Float64Array(summaries.reduce((sum, { terms }) => sum + terms.length, 0))
  let count = 0
  for (const [place, { terms }] of summaries.entries()) {
    for (const term of terms) pairs[count++] = (term >>> 0) * bundlesPerChunk + place
  }
  return pairs.sort()
}

function termOf(pair = 0): number {
  return Math.floor(pair / bundlesPerChunk)
}

function placeOf(pair = 0): number {
  return pair % bundlesPerChunk
}

function placesBytes(count: number): number {
  return count <= mostListed ? count : count === bundlesPerChunk ? 0 : mapBytes
}

function writePlaces(bytes: Buffer, at: number, places: readonly number[]): number {
  const end = at + placesBytes(places.length)
  if (places.length <= mostListed) bytes.set(places, at)
  else if (places.length < bundlesPerChunk) {
    bytes.fill(0, at, end)
    for (const place of places) bytes[at + (place >> 3)] = (bytes[at + (place >> 3)] ?? 0) | (1 << (place & 7))
  }
  return end
}

/** By place, whether the bundle there is one of them. */
function placesAt(bytes: Buffer, at: number, count: number): readonly boolean[] {
  const isIn = new Array<boolean>(bundlesPerChunk).fill(count === bundlesPerChunk)
  if (count <= mostListed) for (const place of bytes.subarray(at, at + count)) isIn[place] = true
  else if (count < bundlesPerChunk) {
    for (let place = 0; place < bundlesPerChunk; place++) {
      isIn[place] = ((bytes[at + (place >> 3)] ?? 0) & (1 << (place & 7))) !== 0
    }
  }
  return isIn
}
