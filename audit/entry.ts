import type { AuditEvent, AuditEventName, AuditRecord } from '#protocol'
import { CborReader, CborWriter } from './cbor.js'
import { AuditError } from './errors.js'
import { entryVersion, eventKey, eventNumbers, type FieldKind, fields, versionKey } from './fields.js'

export const maxEntryBytes = 0xffff

/** What `append` adds to an event. */
export interface Place {
  readonly sequence: number
  readonly time: number
  readonly node: string
}

interface Field {
  readonly name: string
  readonly key: number
  readonly kind: FieldKind
}

const table: readonly Field[] = Object.entries(fields).map(([name, [key, kind]]) => ({ name, key, kind }))
const fieldByName = new Map(table.map((field) => [field.name, field]))
const fieldByKey = new Map(table.map((field) => [field.key, field]))
const eventByNumber = new Map(Object.entries(eventNumbers).map(([name, number]) => [number, name]))

/**
 * Writes an event as one entry into a buffer that has room for `maxEntryBytes` at `start`; gives the entry's end.
 * This runs once per message on the broker's thread: no intermediate objects but the list of fields.
 * @throws AuditError AUDIT_INVALID when it does not fit or holds what no entry can
 */
export function writeEntry(buffer: Buffer, start: number, place: Place, event: AuditEvent): number {
  const writer = new CborWriter(buffer, start, start + maxEntryBytes)
  const values: Readonly<Record<string, unknown>> = { ...event }
  const present = fieldsOf(values)
  writer.map(present.length + 5)
  writer.integer(versionKey)
  writer.integer(entryVersion)
  writer.integer(fields.sequence[0])
  writer.integer(place.sequence)
  writer.integer(fields.time[0])
  writer.integer(place.time)
  writer.integer(fields.node[0])
  writer.text(place.node)
  writer.integer(eventKey)
  writer.integer(eventNumbers[event.event])
  for (const { name, key, kind } of present) {
    writer.integer(key)
    writeValue(writer, kind, values[name], name)
  }
  return writer.at
}

export function encodeEntry(place: Place, event: AuditEvent): Uint8Array {
  const buffer = Buffer.alloc(maxEntryBytes)
  return Uint8Array.from(buffer.subarray(0, writeEntry(buffer, 0, place, event)))
}

/** @throws AuditError AUDIT_INVALID for everything but the one canonical form of a record */
export function decodeEntry(entry: Uint8Array): AuditRecord {
  const reader = new CborReader(entry)
  const record: Record<string, unknown> = {}
  let previous = -1
  for (let left = reader.map(); left > 0; left--) {
    const key = reader.integer()
    if (key <= previous) throw invalid(`key ${key} after ${previous}`)
    previous = key
    if (key === versionKey) requireVersion(reader.integer())
    else if (key === eventKey) record['event'] = eventOf(reader.integer())
    else {
      const field = fieldByKey.get(key)
      if (!field) throw invalid(`unknown key ${key}`)
      record[field.name] = readValue(reader, field.kind)
    }
  }
  reader.end()
  return complete(record)
}

/** Sorted by key, as the deterministic form asks. Events are mostly written in that order, so that insertion is quick. */
function fieldsOf(values: Readonly<Record<string, unknown>>): readonly Field[] {
  const sorted: Field[] = []
  for (const name in values) {
    if (name === 'event' || name === 'node' || values[name] === undefined) continue // both stand in every entry
    const field = fieldByName.get(name)
    if (!field || field.key < eventKey) throw invalid(`an event cannot hold ${JSON.stringify(name)}`)
    let at = sorted.length
    while (at > 0 && (sorted[at - 1]?.key ?? 0) > field.key) at--
    if (at === sorted.length) sorted.push(field)
    else sorted.splice(at, 0, field)
  }
  return sorted
}

function writeValue(writer: CborWriter, kind: FieldKind, value: unknown, name: string): void {
  if (kind === 'text' && typeof value === 'string') writer.text(value)
  else if (kind === 'integer' && typeof value === 'number') writer.integer(value)
  else if (kind === 'boolean' && typeof value === 'boolean') writer.boolean(value)
  else if (kind === 'bytes' && value instanceof Uint8Array) writer.bytes(value)
  else if (kind === 'texts' && Array.isArray(value)) writer.texts(value)
  else if (kind === 'map' && typeof value === 'object' && value !== null) writer.textMap({ ...value })
  else throw invalid(`${name} is not of kind ${kind}`)
}

function readValue(reader: CborReader, kind: FieldKind): unknown {
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
  }
}

function requireVersion(version: number): void {
  if (version !== entryVersion) throw invalid(`version ${version}; this program reads version ${entryVersion}`)
}

function eventOf(number: number): AuditEventName {
  const name = eventByNumber.get(number)
  if (name === undefined) throw invalid(`unknown event ${number}`)
  return name as AuditEventName
}

/** Each value was read by its field's kind; what is left to ask is whether the record has a place and an event. */
function complete(record: Readonly<Record<string, unknown>>): AuditRecord {
  for (const name of ['sequence', 'time', 'node', 'event']) {
    if (record[name] === undefined) throw invalid(`no ${name}`)
  }
  return record as unknown as AuditRecord
}

function invalid(problem: string): AuditError {
  return new AuditError('AUDIT_INVALID', `entry: ${problem}`)
}
