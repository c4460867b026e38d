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

/** Heads are looked for in so many bytes of a segment at a time. */
const windowBytes = 1024 * 1024

/**
 * The ciphertext and tag that were stored for a record, or undefined when none were, or they were removed.
 * @throws AuditError AUDIT_CORRUPT when what is there is no segment, or is cut
 */
export async function readStored(
  directory: string,
  day: number,
  whose: PayloadPlace,
  size: number,
): Promise<Buffer | undefined> {
  const sequence = sequenceIn(whose.place)
  const segment = segmentsOfDay(directory, day).findLast(({ first }) => first <= sequence)
  if (!segment) return undefined
  const file = await open(segment.path)
  try {
    return await find(file, segment.path, whose, size)
  } finally {
    await file.close()
  }
}

interface Window {
  readonly from: number
  readonly bytes: Buffer
}

async function find(file: FileHandle, path: string, whose: PayloadPlace, size: number): Promise<Buffer | undefined> {
  const sequence = sequenceIn(whose.place)
  const corrupt = (at: number, problem: string) =>
    new AuditError('AUDIT_CORRUPT', `${path}, byte ${at}: ${problem}`, { sequence })
  let window: Window = { from: 0, bytes: Buffer.alloc(0) }
  let previous = -1
  for (let at = 0; ;) {
    if (at + storedHeadBytes > window.from + window.bytes.length || at < window.from) {
      window = { from: at, bytes: await readFrom(file, at, windowBytes) }
      if (window.bytes.length < storedHeadBytes) return undefined // the end, or what a crash cut short
    }
    const head = decodeStoredHead(window.bytes, at - window.from)
    if (head.sequence <= previous) throw corrupt(at, 'payloads are not in the order of their records')
    if (head.sequence > sequence) return undefined
    if (isStoredFor(head, whose)) {
      if (head.length !== size) throw corrupt(at, `${head.length} bytes, where the record says ${size}`)
      const body = await readFrom(file, at + storedHeadBytes, storedExtraBytes - storedHeadBytes + size)
      if (body.length === storedExtraBytes - storedHeadBytes + size) return body
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
