import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { crc32c } from '../../audit/writing/crc32c.js'
import { readWal, sealRecords, segmentName, type TornTail } from '../../audit/writing/wal.js'

test('CRC-32C has the values of RFC 3720 appendix B.4', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  for (let at = 0; at <= 9; at++) {
    const bytes = Buffer.from('..123456789.')
    assert.equal(crc32c(bytes, 2 + at, 11, crc32c(bytes, 2, 2 + at)), 0xe3069283)
  }
})

test('reads the records of all segments in order', async (context) => {
  const folder = await newFolder(context)
  await writeSegment(folder, 5, ['five', 'six'])
  await writeSegment(folder, 7, ['seven'])
  await writeFile(join(folder, 'notes.txt'), 'not a segment')
  assert.deepEqual(await readAll(folder), { records: ['5 five', '6 six', '7 seven'], tails: [] })
  assert.deepEqual(await readAll(join(folder, 'absent')), { records: [], tails: [] })
})

test('an incomplete last record ends a segment when the next goes on in its place', async (context) => {
  const folder = await newFolder(context)
  await writeSegment(folder, 5, ['five', 'six'], { cut: 1 })
  await writeSegment(folder, 6, ['six again'])
  const { records, tails } = await readAll(folder)
  assert.deepEqual(records, ['5 five', '6 six again'])
  assert.deepEqual(tails, [{ sequence: 6, segment: segmentName(5), bytes: 10 }])
})

test('a gap between segments is corruption, and so is a record that is cut before others', async (context) => {
  const gap = await newFolder(context)
  await writeSegment(gap, 5, ['five', 'six'], { cut: 1 })
  await writeSegment(gap, 7, ['seven'])
  await assert.rejects(readAll(gap), { code: 'AUDIT_CORRUPT', sequence: 6 })
  const inside = await newFolder(context)
  const records = framed(['five', 'six', 'seven'])
  records[3] = 200 // a length that reaches over the end
  await writeFile(join(inside, segmentName(5)), records)
  await assert.rejects(readAll(inside), { code: 'AUDIT_CORRUPT', sequence: 5 })
})

async function readAll(folder: string) {
  const records: string[] = []
  const tails: TornTail[] = []
  for await (const { sequence, entry } of readWal(folder, (tail) => tails.push(tail))) {
    records.push(`${sequence} ${entry.toString()}`)
  }
  return { records, tails }
}

async function writeSegment(folder: string, first: number, entries: readonly string[], { cut = 0 } = {}) {
  const records = framed(entries)
  await writeFile(join(folder, segmentName(first)), records.subarray(0, records.length - cut))
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
