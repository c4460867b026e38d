import type { AuditEventName, AuditRecord } from '#protocol'
import { CborReader } from './cbor.js'
import { entryParts, entryVersion, eventNumbers, type Field, fieldByKey, flagsKey, type Place } from './fields.js'
import { isFlaggedName, readFlags, requireFlags } from './flags.js'
import { invalidEntry } from './invalid-entry.js'

const eventByNumber = new Map(Object.entries(eventNumbers).map(([name, number]) => [number, name]))

/** What every entry begins with. */
interface Head extends Place {
  readonly event: AuditEventName
}

/** @throws AuditError AUDIT_INVALID for everything but the one canonical form of a record */
export function decodeEntry(entry: Uint8Array): AuditRecord {
  const reader = new CborReader(entry)
  const head = readHead(reader)
  const record: Record<string, unknown> = { ...head }
  readFields(reader, head, ({ name, kind }) => {
    if (kind === 'flags') Object.assign(record, readFlags(head.event, reader.integer()))
    else record[name] = readValue(reader, head, kind)
  })
  return record as unknown as AuditRecord // each value was read by its field's kind
}

/**
 * The place that an entry says it has. As strict as {@link decodeEntry}, but makes nothing of the rest: for whoever
 * checks millions.
 * @throws AuditError AUDIT_INVALID for everything but the one canonical form of a record
 */
export function sequenceOf(entry: Uint8Array): number {
  return checkedHead(entry).sequence
}

/** When an entry says that it was made, in the same way. @throws AuditError AUDIT_INVALID */
export function timeOf(entry: Uint8Array): number {
  return checkedHead(entry).time
}

function checkedHead(entry: Uint8Array): Head {
  const reader = new CborReader(entry)
  const head = readHead(reader)
  readFields(reader, head, ({ kind }) => skipValue(reader, head, kind))
  return head
}

function readHead(reader: CborReader): Head {
  const parts = reader.array()
  if (parts !== entryParts) throw invalidEntry(`${parts} parts, expected ${entryParts}`)
  const version = reader.integer()
  if (version !== entryVersion) throw invalidEntry(`version ${version}; this program reads version ${entryVersion}`)
  return { sequence: reader.integer(), time: reader.integer(), event: eventOf(reader.integer()) }
}

/** Hands out each field in order; `take` reads the value or passes it by. */
function readFields(reader: CborReader, { event }: Head, take: (field: Field) => void): void {
  let previous = -1
  let hasFlags = false
  for (let left = reader.map(); left > 0; left--) {
    const key = reader.integer()
    if (key <= previous) throw invalidEntry(`key ${key} after ${previous}`)
    previous = key
    const field = fieldByKey[key]
    if (!field) throw invalidEntry(`unknown key ${key}`)
    if (key === flagsKey) hasFlags = true
    take(field)
  }
  reader.end()
  if (!hasFlags && isFlaggedName(event)) throw invalidEntry(`${event} without flags`)
}

function readValue(reader: CborReader, { sequence }: Head, kind: Exclude<Field['kind'], 'flags'>): unknown {
  switch (kind) {
    case 'text':
      return reader.text()
    case 'integer':
      return reader.integer()
    case 'boolean':
      return reader.boolean()
    case 'bytes':
      return reader.bytes()
    case 'texts':
      return reader.texts()
    case 'map':
      return reader.textMap()
    case 'session':
      return reader.sessionName()
    case 'back':
      return earlier(sequence, reader.integer())
  }
}

/** What every message's record holds much of is not even made. */
function skipValue(reader: CborReader, head: Head, kind: Field['kind']): void {
  if (kind === 'text') reader.skipText()
  else if (kind === 'texts') reader.skipTexts()
  else if (kind === 'bytes') reader.skipBytes()
  else if (kind === 'session') reader.skipSessionName()
  else if (kind === 'flags') requireFlags(head.event, reader.integer())
  else readValue(reader, head, kind)
}

function earlier(sequence: number, back: number): number {
  const place = sequence - back
  if (!Number.isSafeInteger(place)) throw invalidEntry(`record ${place}`)
  return place
}

function eventOf(number: number): AuditEventName {
  const name = eventByNumber.get(number)
  if (name === undefined) throw invalidEntry(`unknown event ${number}`)
  return name as AuditEventName // it is a key of eventNumbers
}
