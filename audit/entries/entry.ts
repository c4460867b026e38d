import type { AuditEvent, AuditEventName, AuditRecord } from '#protocol'
import { CborReader, CborWriter } from './cbor.js'
import { commitmentFields, writeCommitmentRoom } from './commitment-room.js'
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
/** Version, sequence, time, node and event: their keys are 0 to 4. */
const placeFields = 5
const eventByNumber = new Map(Object.entries(eventNumbers).map(([name, number]) => [number, name]))

/** What stands behind a key: a field, or the event's number. */
interface Slot {
  readonly name: string
  readonly key: number
  readonly kind: FieldKind | 'event'
}

const slotByKey: (Slot | undefined)[] = []
for (const slot of [...table, { name: 'event', key: eventKey, kind: 'event' } as const]) slotByKey[slot.key] = slot

const writer = new CborWriter(Buffer.alloc(0), 0, 0)

/**
 * Writes an event as one entry into a buffer that has room for `maxEntryBytes` at `start`; gives the entry's end.
 * This runs for every message on the broker's thread, so nothing is made anew and nothing sorted for an event whose like
 * was written before.
 * An entry that is to commit to a payload ends with room for it, see commitment-room.ts.
 * @throws AuditError AUDIT_INVALID when it does not fit or holds what no entry can
 */
export function writeEntry(buffer: Buffer, start: number, place: Place, event: AuditEvent, commits = false): number {
  const shape = shapeOf(event)
  writer.moveTo(buffer, start, start + maxEntryBytes)
  try {
    writeShaped(shape, place, event, commits ? commitmentFields : 0)
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new AuditError('AUDIT_INVALID', 'entry: a field that is text holds something else', { cause })
  }
  if (commits) writeCommitmentRoom(writer)
  return writer.at
}

/** `more` fields are to follow. */
function writeShaped(shape: Shape, place: Place, event: AuditEvent, more: number): void {
  if (event.event === 'message.publish' && shape.isUsual) {
    writePlace(shape, place, more - absentIn(event))
    writePublish(writer, event)
  } else if (event.event === 'message.deliver' && shape.isUsual) {
    writePlace(shape, place, more - absentIn(event))
    writeDeliver(writer, event)
  } else {
    readValues(event)
    writePlace(shape, place, more - countAbsent(shape))
    writeFields(shape)
  }
}

/** What every entry begins with. */
function writePlace(shape: Shape, { sequence, time, node }: Place, more: number): void {
  writer.map(placeFields + shape.fields.length + more)
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
  const record: Record<string, unknown> = {}
  readSlots(entry, (reader, { name, kind }) => (record[name] = readValue(reader, kind)))
  return record as unknown as AuditRecord // each value was read by its field's kind
}

/**
 * The place that an entry says it has. As strict as {@link decodeEntry}, but makes nothing of the rest: for whoever
 * checks millions.
 * @throws AuditError AUDIT_INVALID for everything but the one canonical form of a record
 */
export function sequenceOf(entry: Uint8Array): number {
  return integerOf(entry, fields.sequence[0])
}

/** When an entry says that it was made, in the same way. @throws AuditError AUDIT_INVALID */
export function timeOf(entry: Uint8Array): number {
  return integerOf(entry, fields.time[0])
}

function integerOf(entry: Uint8Array, wanted: number): number {
  let integer = -1
  readSlots(entry, (reader, { key, kind }) => {
    if (key === wanted) integer = reader.integer()
    else skipValue(reader, kind)
  })
  return integer
}

/** Hands out each key but the version's, in order; `take` reads the value or passes it by. */
function readSlots(entry: Uint8Array, take: (reader: CborReader, slot: Slot) => void): void {
  const reader = new CborReader(entry)
  const size = reader.map()
  if (size < placeFields) throw invalid('a place or an event is missing')
  let previous = -1
  for (let at = 0; at < size; at++) {
    const key = reader.integer()
    if (key <= previous) throw invalid(`key ${key} after ${previous}`)
    if (at < placeFields && key !== at) throw invalid(`key ${key} where ${at} belongs`)
    previous = key
    const slot = slotByKey[key]
    if (slot) take(reader, slot)
    else if (key === versionKey) requireVersion(reader.integer())
    else throw invalid(`unknown key ${key}`)
  }
  reader.end()
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

function readValue(reader: CborReader, kind: Slot['kind']): unknown {
  switch (kind) {
    case 'event':
      return eventOf(reader.integer())
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

/** What every message's record holds much of is not even made. */
function skipValue(reader: CborReader, kind: Slot['kind']): void {
  if (kind === 'text') reader.skipText()
  else if (kind === 'texts') reader.skipTexts()
  else if (kind === 'bytes') reader.skipBytes()
  else readValue(reader, kind)
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

function invalid(problem: string): AuditError {
  return new AuditError('AUDIT_INVALID', `entry: ${problem}`)
}
