import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readWal, segmentName, type TornTail, type WalPosition } from '../../audit/writing/wal.js'
import { headerBytes, sealRecords } from '../../audit/writing/wal-record.js'

test('reads the records of all segments in order', async (context) => {
  const folder = await newFolder(context)
  await writeSegment(folder, 5, ['five', 'six'])
  await writeSegment(folder, 7, ['seven'])
  await writeFile(join(folder, 'notes.txt'), 'not a segment')
  assert.deepEqual(await readAll(folder), { records: ['5 five', '6 six', '7 seven'], tails: [] })
  assert.deepEqual(await readAll(join(folder, 'absent')), { records: [], tails: [] })
})

test('where two segments hold the same record the later one counts, of one first record the later generation', async (context) => {
  const folder = await newFolder(context)
  await writeSegment(folder, 5, ['five', 'six', 'seven as nobody was told'], { cut: 1 })
  await writeSegment(folder, 6, ['six on a disk that failed'], { change: (bytes) => bytes.fill(0x55, 12) })
  await writeSegment(folder, 6, [], { generation: 1 })
  await writeSegment(folder, 6, ['six again', 'seven again'], { generation: 10 })
  await writeSegment(folder, 8, ['eight'])
  assert.deepEqual(await readAll(folder), {
    records: ['5 five', '6 six again', '7 seven again', '8 eight'],
    tails: [],
  })
  const start = { sequence: 6, segment: segmentName(5), at: 12 }
  assert.deepEqual((await readAll(folder, start)).records, ['6 six again', '7 seven again', '8 eight'])
})

test('a gap between segments is corruption, and so is damage before the place where the next takes over', async (context) => {
  const gap = await newFolder(context)
  await writeSegment(gap, 5, ['five', 'six'], { cut: 1 })
  await writeSegment(gap, 7, ['seven'])
  await assert.rejects(readAll(gap), { code: 'AUDIT_CORRUPT', sequence: 6 })
  const damaged = await newFolder(context)
  await writeSegment(damaged, 5, ['five', 'six'], { change: (bytes) => bytes.fill(0, 0, 12) })
  await writeSegment(damaged, 7, ['seven'])
  await assert.rejects(readAll(damaged), { code: 'AUDIT_CORRUPT', sequence: 5 })
})

const sectorBytes = 512
/** A record that fills a sector. */
const sector = (letter: string) => letter.repeat(sectorBytes - headerBytes)
/** One batch that was synced, and one of which a crash may have left anything. */
const twoBatches = Buffer.concat([framed([sector('a'), sector('b')]), framed([sector('c'), sector('d'), 'e'])])
const synced = 2 * sectorBytes

const torn = {
  'ends within a record': [twoBatches.subarray(0, synced + 100), 0],
  'ends within the head of a record': [twoBatches.subarray(0, synced + 3), 0],
  'is nothing but zeros': [withZeros(synced), 0],
  'has zeros for a sector, and whole records behind it': [withZeros(synced, synced + sectorBytes), 0],
  'has zeros in its middle': [withZeros(synced + sectorBytes, synced + 2 * sectorBytes), 1],
  'has room that was never written to in its middle': [
    withFill(0xff, synced + sectorBytes, synced + 2 * sectorBytes),
    1,
  ],
} as const
for (const [how, [bytes, kept]] of Object.entries(torn)) {
  test(`a last batch that ${how} was never synced and is cut there`, async (context) => {
    const folder = await newFolder(context)
    await writeFile(join(folder, segmentName(5)), bytes)
    const { records, tails } = await readAll(folder)
    assert.equal(records.length, 2 + kept)
    const at = synced + kept * sectorBytes
    assert.deepEqual(tails, [{ sequence: 7 + kept, segment: segmentName(5), bytes: bytes.length - at }])
  })
}

const damaged = {
  'has a flipped bit in its last batch': [withFlip(synced + 100), 7],
  'has a record length that reaches over the end, before other records': [withFlip(synced + 2), 7],
  'has zeros in a batch that another one follows': [withZeros(0, sectorBytes), 5],
  'ends a record with a sector of zeros in a batch that another one follows': [withZeros(sectorBytes, synced), 6],
  'has a few zeros that are no whole sector': [withZeros(synced + 50, synced + 200), 7],
} as const
for (const [how, [bytes, sequence]] of Object.entries(damaged)) {
  test(`a log that ${how} is corrupt: no crash does that`, async (context) => {
    const folder = await newFolder(context)
    await writeFile(join(folder, segmentName(5)), bytes)
    await assert.rejects(readAll(folder), { code: 'AUDIT_CORRUPT', sequence })
  })
}

test('the rest of a reserve that records were written into is no torn batch', async (context) => {
  const folder = await newFolder(context)
  await writeFile(join(folder, segmentName(5)), Buffer.concat([twoBatches, Buffer.alloc(10_000, 0xff)]))
  const { records, tails } = await readAll(folder)
  assert.deepEqual([records.length, tails], [5, []])
})

function withZeros(from: number, to?: number): Buffer {
  return withFill(0, from, to)
}

function withFill(byte: number, from: number, to = twoBatches.length): Buffer {
  return Buffer.from(twoBatches).fill(byte, from, to)
}

function withFlip(at: number): Buffer {
  const bytes = Buffer.from(twoBatches)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x40, at)
  return bytes
}

async function readAll(folder: string, start?: WalPosition) {
  const records: string[] = []
  const tails: TornTail[] = []
  for await (const { sequence, entry } of readWal(folder, (tail) => tails.push(tail), start)) {
    records.push(`${sequence} ${entry.toString()}`)
  }
  return { records, tails }
}

interface Made {
  readonly cut?: number
  readonly generation?: number
  readonly change?: (bytes: Buffer) => void
}

async function writeSegment(folder: string, first: number, entries: readonly string[], made: Made = {}) {
  const { cut = 0, generation, change = () => undefined } = made
  const records = framed(entries)
  change(records)
  await writeFile(join(folder, segmentName(first, generation)), records.subarray(0, records.length - cut))
}

function framed(entries: readonly string[]): Buffer {
  const records = Buffer.concat(
    entries.map((entry) => {
      const header = Buffer.alloc(8)
      header.writeUInt32BE(entry.length)
      return Buffer.concat([header, Buffer.from(entry)])
    }),
  )
  sealRecords(records)
  return records
}

async function newFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'touchmark-wal-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}
