import { BackupError } from './errors.js'

/*
 * Of POSIX ustar (IEEE Std 1003.1, pax, "ustar Interchange Format") just as much as a backup needs: regular files of one
 * owner, whose names have fewer than 100 bytes. Any tar reads what is written here. What is read must be written here: a header
 * has one form for its name, size and time, and any other is refused, with all the links, devices and long names that it
 * could bring.
 */

export const blockBytes = 512

/** What ends an archive. */
export const endOfArchive: Uint8Array = new Uint8Array(2 * blockBytes)

export interface TarHeader {
  /** Printable ASCII, at most 99 characters. */
  readonly name: string
  /** Of the content, in bytes. */
  readonly size: number
  /** Seconds since 1970. */
  readonly time: number
}

const mostNameBytes = 99
/** Eleven octal digits. */
const mostSize = 8 ** 11 - 1
const checksumAt = 148

/** @throws TypeError for what no header can say */
export function encodeHeader({ name, size, time }: TarHeader): Buffer {
  if (!isName(name)) throw new TypeError(`not the name of a member: ${name}`)
  if (size > mostSize || time > mostSize) throw new TypeError(`${name} is too large for a tar header`)
  const header = Buffer.alloc(blockBytes)
  header.write(name, 0)
  header.write('0000600\0', 100) // only for its owner
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(`${octal(size, 11)}\0`, 124)
  header.write(`${octal(time, 11)}\0`, 136)
  header.write('        ', checksumAt) // counts as spaces in its own sum
  header.write('0', 156) // a regular file
  header.write('ustar\x0000', 257)
  header.write(`${octal(sumOf(header), 6)}\0 `, checksumAt)
  return header
}

/** @throws BackupError BACKUP_INVALID for everything but what {@link encodeHeader} writes */
export function decodeHeader(block: Buffer): TarHeader {
  const [name = ''] = block.toString('latin1', 0, mostNameBytes + 1).split('\0', 1)
  const size = numberAt(block, 124)
  const time = numberAt(block, 136)
  if (isName(name) && size !== undefined && time !== undefined) {
    if (encodeHeader({ name, size, time }).equals(block)) return { name, size, time }
  }
  throw new BackupError('BACKUP_INVALID', 'expected the header of a member, got other bytes: no backup, or damaged')
}

/** What fills the last block of so many bytes. */
export function paddingOf(size: number): Uint8Array {
  return new Uint8Array((blockBytes - (size % blockBytes)) % blockBytes)
}

function isName(name: string): boolean {
  return /^[\x21-\x7e]+$/.test(name) && name.length <= mostNameBytes
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

function numberAt(block: Buffer, at: number): number | undefined {
  const digits = block.toString('latin1', at, at + 11)
  return /^[0-7]{11}$/.test(digits) ? Number.parseInt(digits, 8) : undefined
}

function sumOf(header: Uint8Array): number {
  return header.reduce((sum, byte) => sum + byte, 0)
}
