import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** What is looked for, by how it would be written. */
export type Needles = ReadonlyMap<string, Buffer>

/**
 * Every form in which a process or a file would hold a private scalar: as a standard writes it, as a big number lies in
 * memory, and as text. Of base64 a part is enough, at each of the three places where a group can begin, and twice
 * because a line of PEM may end within one.
 */
export function formsOf(scalar: Uint8Array): Needles {
  const bytes = Buffer.from(scalar)
  const hex = bytes.toString('hex')
  const base64 = [0, 1, 2, 15, 16, 17].flatMap((skipped) =>
    (['base64', 'base64url'] as const).map(
      (encoding) =>
        [`${encoding} from byte ${skipped}`, bytes.subarray(skipped, skipped + 15).toString(encoding)] as const,
    ),
  )
  return new Map([
    ['big-endian', bytes],
    ['little-endian', Buffer.from(bytes).reverse()],
    ['hex', Buffer.from(hex)],
    ['HEX', Buffer.from(hex.toUpperCase())],
    ...base64.map(([name, text]) => [name, Buffer.from(text)] as const),
  ])
}

/** In which forms they stand anywhere in what a process can read of its own memory (proc_pid_maps(5), proc_pid_mem(5)). */
export function tracesInMemory(pid: number, needles: Needles): ReadonlySet<string> {
  const found = new Set<string>()
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const { start, end } of readableRegions(pid)) {
      for (const piece of pieces(memory, start, end)) addTraces(found, piece, needles)
    }
  } finally {
    closeSync(memory)
  }
  return found
}

/** The same in every file below a folder. */
export function tracesInFiles(folder: string, needles: Needles): ReadonlySet<string> {
  const found = new Set<string>()
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    if (statSync(path).isFile()) addTraces(found, readFileSync(path), needles)
  }
  return found
}

function addTraces(found: Set<string>, content: Buffer, needles: Needles): void {
  for (const [form, needle] of needles) if (content.includes(needle)) found.add(form)
}

interface Region {
  readonly start: number
  readonly end: number
}

function readableRegions(pid: number): readonly Region[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').trim().split('\n')
  return lines.flatMap((line) => {
    const [, start = '', end = '', rights = '', name = ''] = /^(\w+)-(\w+) (\S+) \S+ \S+ \d+ *(.*)$/.exec(line) ?? []
    if (!rights.startsWith('r') || name.startsWith('[v')) return [] // the kernel's own pages
    return [{ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) }]
  })
}

const pieceBytes = 4 * 1024 * 1024
/** No needle is longer, so that none is cut by the end of a piece. */
const overlapBytes = 128

function* pieces(memory: number, start: number, end: number): Iterable<Buffer> {
  const piece = Buffer.alloc(pieceBytes)
  for (let at = start; at < end; at += pieceBytes - overlapBytes) {
    const read = readAt(memory, piece, at, Math.min(pieceBytes, end - at))
    if (read > 0) yield piece.subarray(0, read)
  }
}

/** 0 where the region has gone, or is backed by nothing. */
function readAt(memory: number, into: Buffer, at: number, length: number): number {
  try {
    return readSync(memory, into, 0, length, BigInt(at))
  } catch {
    return 0
  }
}
