import { BackupError } from './errors.js'
import { rowsName } from './names.js'
import type { Member } from './member.js'

/*
 * Rows of the store as members of a backup: of each row the length of its key in four bytes, the key as UTF-8, the length
 * of its value in four bytes, the value; numbers big-endian.
 */

export type Row = readonly [key: string, value: Uint8Array]

/** A member is full with so many bytes; a row stands in one. */
const enoughBytes = 1024 * 1024

export async function* packRows(rows: AsyncIterable<Row>): AsyncGenerator<Member, void> {
  let number = 0
  let pieces: Buffer[] = []
  let bytes = 0
  const take = (): Member => {
    const member = { name: rowsName(number++), bytes: Buffer.concat(pieces) }
    pieces = []
    bytes = 0
    return member
  }
  for await (const row of rows) {
    const packed = packRow(row)
    pieces.push(packed)
    bytes += packed.length
    if (bytes >= enoughBytes) yield take()
  }
  if (bytes > 0) yield take()
}

/** @throws BackupError BACKUP_INVALID */
export function unpackRows({ name, bytes }: Member): readonly Row[] {
  const rows: Row[] = []
  let at = 0
  const take = (): Buffer => {
    const start = at + 4
    const end = bytes.length < start ? Infinity : start + bytes.readUInt32BE(at)
    if (end > bytes.length) throw new BackupError('BACKUP_INVALID', `${name} does not hold whole rows`)
    at = end
    return bytes.subarray(start, end)
  }
  while (at < bytes.length) rows.push([take().toString(), take()])
  return rows
}

function packRow([key, value]: Row): Buffer {
  const name = Buffer.from(key)
  const row = Buffer.alloc(8 + name.length + value.length)
  row.writeUInt32BE(name.length, 0)
  row.set(name, 4)
  row.writeUInt32BE(value.length, 4 + name.length)
  row.set(value, 8 + name.length)
  return row
}
