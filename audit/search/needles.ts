import { CborWriter } from '../entries/cbor.js'
import { type FieldName, fields } from '../entries/fields.js'
import type { AuditQuery } from '../reading/query.js'

const longest = 2048

/**
 * The bytes that every entry holds which the query finds: an entry has one encoding, so a device that is sought stands
 * there as its field's key and its text. To look for bytes is some hundred times quicker than to decode.
 */
export function needlesOf({ device, session, decision, operator }: AuditQuery): readonly Buffer[] {
  const sought: readonly (readonly [FieldName, string | undefined])[] = [
    ['session', session],
    ['device', device],
    ['operator', operator],
    ['decision', decision],
  ]
  return sought.flatMap(([field, text]) => {
    if (text === undefined || Buffer.byteLength(text) > longest / 4) return []
    const bytes = Buffer.alloc(longest)
    const writer = new CborWriter(bytes, 0, longest)
    writer.integer(fields[field][0])
    writer.text(text)
    return [bytes.subarray(0, writer.at)]
  })
}

/** Which of a bundle's entries hold all the needles; each stands once in the bundle's bytes, in order. */
export function* entriesWith<Entry extends Uint8Array>(
  bundle: Buffer,
  entries: readonly Entry[],
  needles: readonly Buffer[],
): Iterable<readonly [place: number, entry: Entry]> {
  const next = needles.map((needle) => bundle.indexOf(needle))
  for (const [place, entry] of entries.entries()) {
    const begin = entry.byteOffset - bundle.byteOffset
    const end = begin + entry.length
    const holdsAll = needles.every((needle, at) => {
      if ((next[at] ?? -1) >= 0 && (next[at] ?? -1) < begin) next[at] = bundle.indexOf(needle, begin)
      const found = next[at] ?? -1
      return found >= 0 && found + needle.length <= end
    })
    if (holdsAll) yield [place, entry]
  }
}
