import { type FileHandle, open } from 'node:fs/promises'
import { AuditError } from '../errors.js'
import { sequenceIn } from './message-place.js'
import { segmentsOfDay } from './payload-store.js'
import {
  decodeStoredHead,
  isStoredFor,
  type PayloadPlace,
  storedExtraBytes,
  storedHeadBytes,
} from './stored-payload.js'

/** Heads are looked for in so many bytes of a segment at a time; in more, the longer it takes. */
const windowBytes = { first: 16 * 1024, most: 1024 * 1024 } as const

/**
 * Finds what was stored. Who asks for one payload after another, as a replay does, does not have each looked for from the
 * beginning.
 */
export class SegmentReader {
  readonly #directory: string
  readonly #found = new FoundPlaces()

  constructor(directory: string) {
    this.#directory = directory
  }

  /**
   * The ciphertext and tag that were stored for a record, or undefined when none were, or they were removed.
   * @throws AuditError AUDIT_CORRUPT when what is there is no segment, or is cut
   */
  async read(day: number, whose: PayloadPlace, size: number): Promise<Buffer | undefined> {
    const sequence = sequenceIn(whose.place)
    const segment = segmentsOfDay(this.#directory, day).findLast(({ first }) => first <= sequence)
    if (!segment) return undefined
    const { path } = segment
    const file = await open(path)
    try {
      const found = await find(file, { path, whose, size, from: this.#found.before(path, sequence) })
      if (found) this.#found.add({ path, sequence, at: found.at })
      return found?.body
    } finally {
      await file.close()
    }
  }
}

interface FoundPlace {
  readonly path: string
  readonly sequence: number
  readonly at: number
}

const mostFoundPlaces = 64

/** Where payloads were found last; a segment only grows, so they stay there. */
class FoundPlaces {
  readonly #places: FoundPlace[] = []

  add(place: FoundPlace): void {
    this.#places.push(place)
    if (this.#places.length > mostFoundPlaces) this.#places.shift()
  }

  /** Where to begin to look. */
  before(path: string, sequence: number): number {
    const places = this.#places.filter((place) => place.path === path && place.sequence <= sequence)
    return places.reduce((furthest, { at }) => Math.max(furthest, at), 0)
  }
}

interface Window {
  readonly from: number
  readonly bytes: Buffer
}

interface Wanted {
  readonly path: string
  readonly whose: PayloadPlace
  readonly size: number
  /** Nothing before this byte is it. */
  readonly from: number
}

async function find(
  file: FileHandle,
  { path, whose, size, from }: Wanted,
): Promise<{ readonly at: number; readonly body: Buffer } | undefined> {
  const sequence = sequenceIn(whose.place)
  const corrupt = (at: number, problem: string) =>
    new AuditError('AUDIT_CORRUPT', `${path}, byte ${at}: ${problem}`, { sequence })
  let window: Window = { from, bytes: Buffer.alloc(0) }
  let length: number = windowBytes.first
  let previous = -1
  for (let at = from; ;) {
    if (at + storedHeadBytes > window.from + window.bytes.length) {
      window = { from: at, bytes: await readFrom(file, at, length) }
      length = Math.min(length * 4, windowBytes.most)
      if (window.bytes.length < storedHeadBytes) return undefined // the end, or what a crash cut short
    }
    const head = decodeStoredHead(window.bytes, at - window.from)
    if (head.sequence <= previous) throw corrupt(at, 'payloads are not in the order of their records')
    if (head.sequence > sequence) return undefined
    if (isStoredFor(head, whose)) {
      if (head.length !== size) throw corrupt(at, `${head.length} bytes, where the record says ${size}`)
      const body = await readFrom(file, at + storedHeadBytes, storedExtraBytes - storedHeadBytes + size)
      if (body.length === storedExtraBytes - storedHeadBytes + size) return { at, body }
      throw corrupt(at, 'the payload is cut')
    }
    previous = head.sequence
    at += storedExtraBytes + head.length
  }
}

async function readFrom(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at)
  return buffer.subarray(0, bytesRead)
}
