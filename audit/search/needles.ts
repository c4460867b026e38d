import { CborWriter } from '../entries/cbor.js'
import { type FieldName, fields } from '../entries/fields.js'
import type { AuditQuery } from '../reading/query.js'

const roomForOne = 2048

/**
 * Bytes that every entry holds which the query finds: an entry has one encoding, so a device that is sought stands there
 * as its field's key and its text. To look for bytes is some hundred times quicker than to decode.
 */
export function needlesOf({ device, session, decision, operator, rule, topicFilter }: AuditQuery): readonly Buffer[] {
  const sought: readonly (readonly [FieldName, string | undefined])[] = [
    ['session', session],
    ['device', device],
    ['operator', operator],
    ['decision', decision],
  ]
  return [
    ...sought.flatMap(([field, text]) => (text === undefined ? [] : [encoded(text, fields[field][0])])),
    ...(rule === undefined ? [] : [encoded(rule)]),
    ...(topicFilter === undefined ? [] : literalsOf(topicFilter.split('/'))),
  ]
}

/** As it stands in an entry, behind its key where it has one of its own; shorter than anything that is shortened. */
function encoded(text: string, key?: number): Buffer {
  const bytes = Buffer.alloc(roomForOne)
  const writer = new CborWriter(bytes, 0, roomForOne)
  if (key !== undefined) writer.integer(key)
  writer.text(text)
  return bytes.subarray(0, writer.at)
}

/** The longest run of levels without a wildcard, as bytes within a topic. */
function literalsOf(levels: readonly string[]): readonly Buffer[] {
  let run = ''
  let longest = ''
  for (const [at, level] of levels.entries()) {
    if (level === '#') break // "a/#" finds "a" too: no slash is certain
    const isWild = level === '+'
    const found = isWild ? run && `${run}/` : at === 0 ? level : `${run}/${level}`
    if (found.length > longest.length) longest = found
    run = isWild ? '' : found
  }
  // A topic that was shortened is read with a note at its end that does not stand in its bytes.
  return longest === '' || longest.includes('…') ? [] : [Buffer.from(longest)]
}
