import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { layout } from '../layout.js'
import { LogReader } from '../reading/reader.js'
import { tileWidth } from '../tree/tiles.js'
import { createDisk } from '../writing/disk.js'
import { listSegments, segmentName } from '../writing/wal.js'
import { headerBytes, sealRecords } from '../writing/wal-record.js'
import { LogCopy } from './log-copy.js'

/**
 * Makes a log that can be appended to out of a copy of `log/` alone: a start goes on from the write-ahead log, and asks
 * it for the records of the last, incomplete bundle. Durable when it resolves. @throws AuditError AUDIT_CORRUPT
 */
export async function beginWal(directory: string): Promise<void> {
  const { size } = await LogCopy.ofFolder(directory)
  const start = size - (size % tileWidth)
  const records = Buffer.concat((await new LogReader(directory).entries(start, size - 1)).map(unsealed))
  sealRecords(records)
  await writeSegment(directory, segmentName(start), records)
}

/** Takes the write-ahead log of another copy, with records above its checkpoint; false where that has none. */
export async function copyWal(from: string, to: string): Promise<boolean> {
  const segments = await listSegments(layout.wal(from))
  for (const { name } of segments) await writeSegment(to, name, await readFile(join(layout.wal(from), name)))
  return segments.length > 0
}

async function writeSegment(directory: string, name: string, records: Buffer): Promise<void> {
  const disk = createDisk()
  await disk.makeFolder(layout.wal(directory))
  const segment = disk.openSegment(join(layout.wal(directory), name))
  segment.append(records)
  segment.close()
}

function unsealed(entry: Uint8Array): Buffer {
  const record = Buffer.alloc(headerBytes + entry.length)
  record.writeUInt32BE(entry.length, 0)
  record.set(entry, headerBytes)
  return record
}
