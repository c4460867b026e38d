import type { AuditEvent, AuditEventName, AuditRecord } from '#protocol'
import { CborReader, CborWriter } from './cbor.js'
import { AuditError } from '../errors.js'
import { entryVersion, eventKey, eventNumbers, type FieldKind, type FieldName, fields, versionKey } from './fields.js'
import { absentIn, deliverNames, publishNames, writeDeliver, writePublish } from './message-entry.js'

export const maxEntryBytes = 0xffff

/** What `append` adds to an event. */
export interface Place {
  readonly sequence: number
  readonly time: number
  readonly node: string
}

interface Field {
  readonly name: FieldName
  readonly key: number
  readonly kind: FieldKind
}

const table: readonly Field[] = Object.keys(fields)
  .filter(isFieldName)
  .map((name) => ({ name, key: fields[name][0], kind: fields[name][1] }))
const fieldByName = new Map<string, Field>(table.map((field) => [field.name, field]))
const fieldByKey = new Map(table.map((field) => [field.key, field]))
/** Version, sequence, time, node and event. */
const placeFields = 5
const eventByNumber = new Map(Object.entries(eventNumbers).map(([name, number]) => [number, name]))

const writer = new CborWriter(Buffer.alloc(0), 0, 0)

/**
 * Writes an event as one entry into a buffer that has room for `maxEntryBytes` at `start`; gives the entry's end.
 * This runs for every message on the broker's thread, so nothing is made anew and nothing sorted for an event whose like
 * was written before.
 * @throws AuditError AUDIT_INVALID when it does not fit or holds what no entry can
 */
export function writeEntry(buffer: Buffer, start: number, place: Place, event: AuditEvent): number {
  const shape = shapeOf(event)
  writer.moveTo(buffer, start, start + maxEntryBytes)
  if (event.event === 'message.publish' && shape.isUsual) {
    writePlace(shape, place, absentIn(event))
    writePublish(writer, event)
  } else if (event.event === 'message.deliver' && shape.isUsual) {
    writePlace(shape, place, absentIn(event))
    writeDeliver(writer, event)
  } else {
    readValues(event)
    writePlace(shape, place, countAbsent(shape))
    writeFields(shape)
  }
  return writer.at
}

/** What every entry begins with. */
function writePlace(shape: Shape, { sequence, time, node }: Place, absent: number): void {
  writer.map(placeFields + shape.fields.length - absent)
  writer.key(versionKey)
  writer.integer(entryVersion)
  writer.key(fields.sequence[0])
  writer.integer(sequence)
  writer.key(fields.time[0])
  writer.integer(time)
  writer.key(fields.node[0])
  writer.text(node)
  writer.key(eventKey)
  writer.integer(shape.event)
}

function writeFields({ fields }: Shape): void {
  for (const { name, key, kind, at } of fields) {
    const value = values[at]
    if (value === undefined) continue
    writer.integer(key)
    writeValue(writer, kind, value, name)
  }
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

/** Events that hold the same properties in the same order. */
interface Shape {
  readonly event: number
  /** In the order of the properties. */
  readonly names: readonly string[]
  /** In the order of the keys, as the deterministic form asks; `at` is the place among the properties. */
  readonly fields: readonly (Field & { readonly at: number })[]
  /** Whether it holds just what a message's record usually does, see message-entry.ts. */
  readonly isUsual: boolean
}

/** By the events' names: those of one kind are made in one or two places and differ in what they leave out. */
const knownShapes = new Map<AuditEventName, Shape[]>()
const maxShapesPerEvent = 8

/** Of the event at hand, in the order of its properties. */
const values: unknown[] = []

function shapeOf(event: AuditEvent): Shape {
  let shapes = knownShapes.get(event.event)
  if (!shapes) knownShapes.set(event.event, (shapes = []))
  for (const shape of shapes) if (isOfShape(event, shape)) return shape
  const shape = newShape(event)
  if (shapes.length === maxShapesPerEvent) shapes.length = 0
  shapes.push(shape)
  return shape
}

function isOfShape(event: AuditEvent, { names }: Shape): boolean {
  let at = 0
  for (const name in event) if (names[at++] !== name) return false
  return at === names.length
}

/** Asking for properties in the loop that names them is what the engine does best. */
function readValues<Event extends AuditEvent>(event: Event): void {
  let at = 0
  for (const name in event) values[at++] = event[name]
}

function newShape(event: AuditEvent): Shape {
  const names = Object.keys(event)
  const fields = names.flatMap((name, at) => {
    if (name === 'event' || name === 'node') return [] // both stand in every entry
    const field = fieldByName.get(name)
    if (!field || field.key < eventKey) throw invalid(`an event cannot hold ${JSON.stringify(name)}`)
    return [{ ...field, at }]
  })
  fields.sort((one, other) => one.key - other.key)
  return { event: eventNumbers[event.event], names, fields, isUsual: isUsual(event.event, names) }
}

function isUsual(event: AuditEventName, names: readonly string[]): boolean {
  const usual = event === 'message.publish' ? publishNames : event === 'message.deliver' ? deliverNames : []
  return names.length === usual.length && usual.every((name) => names.includes(name))
}

function countAbsent({ fields }: Shape): number {
  let absent = 0
  for (const { at } of fields) if (values[at] === undefined) absent++
  return absent
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

function isFieldName(name: string): name is FieldName {
  return Object.hasOwn(fields, name)
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
