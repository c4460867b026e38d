import { AuditError } from '../errors.js'
import { type Hash, hashBytes } from './merkle.js'

/*
 * The files of C2SP tlog-tiles (https://c2sp.org/tlog-tiles): hashes of one level by the 256, entries by the 256.
 * What is not complete yet has its width in its path; a partial file is never changed, only followed by a wider one.
 */

export const tileWidth = 256

/** How many hashes or entries of a kind of tile a tree has in its last, incomplete tile. */
export function partialWidth(size: number, level = 0): number {
  return Math.floor(size / tileWidth ** level) % tileWidth
}

/** `tile/<L>/<N>[.p/<W>]`; level 0 holds the hashes of leaves. */
export function tilePath(level: number, index: number, width = tileWidth): string {
  return `tile/${level}/${numberPath(index)}${partialSuffix(width)}`
}

/** `tile/entries/<N>[.p/<W>]` */
export function bundlePath(index: number, width = tileWidth): string {
  return `tile/entries/${numberPath(index)}${partialSuffix(width)}`
}

/** Each entry behind its length in two bytes. */
export function encodeBundle(entries: readonly Uint8Array[]): Buffer {
  const bundle = Buffer.alloc(entries.reduce((sum, entry) => sum + 2 + entry.length, 0))
  let at = 0
  for (const entry of entries) {
    bundle[at++] = entry.length >> 8
    bundle[at++] = entry.length & 0xff
    bundle.set(entry, at)
    at += entry.length
  }
  return bundle
}

/** The entries of a bundle up to its end or its first broken place; the caller knows how many there must be. */
export function* entriesOf(bundle: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bundle.length;) {
    const end = at + 2 + (((bundle[at] ?? 0) << 8) | (bundle[at + 1] ?? 0))
    if (at + 2 > bundle.length || end > bundle.length) return
    yield bundle.subarray(at + 2, end)
    at = end
  }
}

/** @throws AuditError AUDIT_CORRUPT unless it holds exactly `count` entries */
export function decodeBundle(bundle: Uint8Array, count: number, name: string): readonly Uint8Array[] {
  const entries = [...entriesOf(bundle)]
  const used = entries.reduce((sum, entry) => sum + 2 + entry.length, 0)
  if (entries.length === count && used === bundle.length) return entries
  throw new AuditError('AUDIT_CORRUPT', `${name} does not hold exactly ${count} entries`)
}

export function encodeTile(hashes: readonly Hash[]): Buffer {
  return Buffer.from(hashes.join(''), 'latin1')
}

export function hashesOf(tile: Uint8Array): readonly Hash[] {
  const bytes = Buffer.from(tile.buffer, tile.byteOffset, tile.byteLength)
  return Array.from({ length: Math.floor(bytes.length / hashBytes) }, (_, at) =>
    bytes.toString('latin1', at * hashBytes, (at + 1) * hashBytes),
  )
}

/** 1234067 → `x001/x234/067` */
function numberPath(number: number): string {
  const groups: string[] = []
  for (let rest = number; groups.length === 0 || rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`${groups.length === 0 ? '' : 'x'}${String(rest % 1000).padStart(3, '0')}`)
  }
  return groups.join('/')
}

function partialSuffix(width: number): string {
  return width === tileWidth ? '' : `.p/${width}`
}
