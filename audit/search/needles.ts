import { sessionNameBytes } from '#protocol'
import { CborWriter } from '../entries/cbor.js'
import { type FieldName, fields, flagsKey } from '../entries/fields.js'
import { deniedBit } from '../entries/flags.js'

import type { AuditQuery } from '../reading/query.js'

const roomForOne = 2048

/**
 * Bytes that every entry holds which the query finds: an entry has one encoding, so a device that is sought stands there
 * as its field's key and its text. To look for bytes is some hundred times quicker than to decode.
 */
export function needlesOf({ device, session, decision, operator, rule, topicFilter }: AuditQuery): readonly Buffer[] {
  return [
    ...(session === undefined || !isSessionName(session) ? [] : [encoded((writer) => writer.sessionName(session))]),
    ...(device === undefined ? [] : [fieldWith('device', device)]),
    ...(operator === undefined ? [] : [fieldWith('operator', operator)]),
    ...(decision === 'deny' ? [denied] : []),
    ...(rule === undefined ? [] : [encoded((writer) => writer.text(rule))]),
    ...(topicFilter === undefined ? [] : literalsOf(topicFilter.split('/'))),
  ]
}

/** Its bit makes the flags of every refusal a number of two bytes, and the first of them is always the same. */
const denied = encoded((writer) => {
  writer.integer(flagsKey)
  writer.integer(deniedBit)
}).subarray(0, 2)

/** As it stands in an entry; shorter than anything that is shortened. */
function fieldWith(name: FieldName, text: string): Buffer {
  return encoded((writer) => {
    writer.integer(fields[name][0])
    writer.text(text)
  })
}

function encoded(write: (writer: CborWriter) => void): Buffer {
  const bytes = Buffer.alloc(roomForOne)
  const writer = new CborWriter(bytes, 0, roomForOne)
  write(writer)
  return bytes.subarray(0, writer.at)
}

/** What is none finds nothing, but is no mistake. */
function isSessionName(text: string): boolean {
  return text.length === 2 * sessionNameBytes && /^[0-9a-f]*$/.test(text)
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
