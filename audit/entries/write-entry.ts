import type { AuditEvent, AuditEventName } from '#protocol'
import { CborWriter } from './cbor.js'
import { commitmentFields, writeCommitmentRoom } from './commitment-room.js'
import { entryParts, entryVersion, eventNumbers, type Field, fieldByName, flagsKey, type Place } from './fields.js'
import { flagsOf, isFlagged } from './flags.js'
import { invalidEntry } from './invalid-entry.js'
import { absentIn, deliverNames, publishNames, writeDeliver, writePublish } from './message-entry.js'

export const maxEntryBytes = 0xffff

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
    throw invalidEntry('a field that is text holds something else', { cause })
  }
  if (commits) writeCommitmentRoom(writer)
  return writer.at
}

export function encodeEntry(place: Place, event: AuditEvent): Uint8Array {
  const buffer = Buffer.alloc(maxEntryBytes)
  return Uint8Array.from(buffer.subarray(0, writeEntry(buffer, 0, place, event)))
}

/** `more` fields are to follow. */
function writeShaped(shape: Shape, place: Place, event: AuditEvent, more: number): void {
  if (event.event === 'message.publish' && shape.isUsual) {
    writeHead(shape, place, more - absentIn(event))
    writePublish(writer, event)
  } else if (event.event === 'message.deliver' && shape.isUsual) {
    writeHead(shape, place, more - absentIn(event))
    writeDeliver(writer, event, place.sequence)
  } else {
    readValues(event)
    values[shape.names.length] = isFlagged(event) ? flagsOf(event) : undefined
    writeHead(shape, place, more - countAbsent(shape))
    writeFields(shape, place)
  }
}

/** What every entry begins with. */
function writeHead(shape: Shape, { sequence, time }: Place, more: number): void {
  writer.array(entryParts)
  writer.integer(entryVersion)
  writer.integer(sequence)
  writer.integer(time)
  writer.integer(shape.event)
  writer.map(shape.fields.length + more)
}

function writeFields({ fields }: Shape, place: Place): void {
  for (const field of fields) {
    const value = values[field.at]
    if (value === undefined) continue
    writer.integer(field.key)
    writeValue(field, value, place)
  }
}

function writeValue({ kind, name }: Field, value: unknown, { sequence }: Place): void {
  if (kind === 'text' && typeof value === 'string') writer.text(value)
  else if ((kind === 'integer' || kind === 'flags') && typeof value === 'number') writer.integer(value)
  else if (kind === 'boolean' && typeof value === 'boolean') writer.boolean(value)
  else if (kind === 'bytes' && value instanceof Uint8Array) writer.bytes(value)
  else if (kind === 'texts' && Array.isArray(value)) writer.texts(value)
  else if (kind === 'map' && typeof value === 'object' && value !== null) writer.textMap({ ...value })
  else if (kind === 'session' && typeof value === 'string') writer.sessionName(value)
  else if (kind === 'back' && typeof value === 'number') writer.integer(sequence - value)
  else throw invalidEntry(`${name} is not of kind ${kind}`)
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

/** Of the event at hand, in the order of its properties, and behind them its flags. */
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
    if (name === 'event') return []
    const field = fieldByName.get(name)
    const isKnown = field && (field.kind !== 'flags' || isFlagged(event))
    if (!isKnown) throw invalidEntry(`a ${event.event} cannot hold ${JSON.stringify(name)}`)
    return field.kind === 'flags' ? [] : [{ ...field, at }]
  })
  if (isFlagged(event)) fields.push({ name: 'decision', kind: 'flags', key: flagsKey, at: names.length })
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
