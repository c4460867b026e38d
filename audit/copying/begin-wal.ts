import { join } from 'node:path'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { LogReader } from '../reading/reader.js'
import { readTextFile } from '../text-file.js'
import { parseCheckpoint } from '../tree/checkpoint.js'
import { tileWidth } from '../tree/tiles.js'
import { createDisk } from '../writing/disk.js'
import { segmentName } from '../writing/wal.js'
import { headerBytes, sealRecords } from '../writing/wal-record.js'

/**
 * Makes a log that can be appended to out of a copy of `log/` alone: a start goes on from the write-ahead log, and asks
 * it for the records of the last, incomplete bundle. Durable when it resolves. @throws AuditError AUDIT_CORRUPT
 */
export async function beginWal(directory: string): Promise<void> {
  const note = await readTextFile(layout.checkpoint(directory), 'log/checkpoint')
  if (note === undefined) throw new AuditError('AUDIT_CORRUPT', 'log/ has no checkpoint')
  const { size } = parseCheckpoint(note)
  const start = size - (size % tileWidth)
  const records = Buffer.concat((await new LogReader(directory).entries(start, size - 1)).map(unsealed))
  sealRecords(records)
  const disk = createDisk()
  await disk.makeFolder(layout.wal(directory))
  const segment = disk.openSegment(join(layout.wal(directory), segmentName(start)))
  segment.append(records)
  segment.close()
}

function unsealed(entry: Uint8Array): Buffer {
  const record = Buffer.alloc(headerBytes + entry.length)
  record.writeUInt32BE(entry.length, 0)
  record.set(entry, headerBytes)
  return record
}
