import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEvent, AuditRecord } from '#protocol'
import { decodeEntry, encodeEntry, sequenceOf } from '../../audit/entries/entry.js'
import { eventKey, eventNumbers, type FieldKind, fields, versionKey } from '../../audit/entries/fields.js'
import { published } from './world.js'

const place = { sequence: 2 ** 40, time: 1_700_000_000_000, node: 'node-1' }

test('a message comes back as it was, in under 200 bytes for a topic of 60', () => {
  const event = published(7, { topic: 't'.repeat(60), messageId: 65_535 })
  const entry = encodeEntry(place, event)
  assert.ok(entry.length < 200, `${entry.length} bytes`)
  assert.deepEqual(decodeEntry(entry), { ...event, ...place })
})

test('every event with any values of its fields comes back as it was', () => {
  const random = randomFrom(42)
  for (const [name, event] of Object.keys(eventNumbers).flatMap((name) =>
    [1, 2, 3, 4].map(() => [name, anyEvent(name, random)] as const),
  )) {
    const entry = encodeEntry(place, event)
    assert.deepEqual(decodeEntry(entry), { ...event, ...place }, name)
    assert.equal(sequenceOf(entry), place.sequence, name)
  }
})

test('the order of an event’s properties does not show', () => {
  const event = published(0)
  const reversed = Object.fromEntries(Object.entries(event).reverse()) as AuditEvent
  assert.deepEqual(encodeEntry(place, reversed), encodeEntry(place, event))
})

test('the records of every message, which are written field by field, are as the general way would write them', () => {
  const { device, session, sessionIndex, topic, rules, policyVersion, qos, retain, dup, size } = published(9)
  const about = { device, session, sessionIndex, topic, rules, policyVersion, qos, retain, dup, size }
  for (const reason of [undefined, 'no_rule'] as const) {
    for (const messageId of [undefined, 9]) {
      const decided = { ...about, decision: reason ? 'deny' : 'allow', reason, messageId } as const
      const usual: readonly AuditEvent[] = [
        { event: 'message.publish', ...decided, action: 'publish', recipients: 3 },
        { event: 'message.deliver', ...decided, publisher: device, origin: 4 },
        { event: 'message.deliver', ...decided, publisher: undefined, origin: undefined },
      ]
      for (const event of usual) {
        const { event: name, ...rest } = event
        const general = { event: name, comment: undefined, ...rest } as AuditEvent
        assert.deepEqual(encodeEntry(place, event), encodeEntry(place, general))
      }
    }
  }
})

test('events of one kind in many shapes, one after another, are each written as they are', () => {
  const optional = Object.entries({ reason: 'quota', count: 3, peer: '127.0.0.1:1', epoch: 2 })
  for (let round = 0; round < 3; round++) {
    for (let mask = 0; mask < 2 ** optional.length; mask++) {
      const event = { ...published(round), ...Object.fromEntries(optional.filter((_, at) => mask & (1 << at))) }
      const absent = { comment: undefined }
      assert.deepEqual(decodeEntry(encodeEntry(place, { ...absent, ...event })), { ...event, ...place })
    }
  }
})

test('no number stands for two names', () => {
  const keys = [versionKey, eventKey, ...Object.values(fields).map(([key]) => key)]
  assert.equal(new Set(keys).size, keys.length)
  const numbers = Object.values(eventNumbers)
  assert.equal(new Set(numbers).size, numbers.length)
})

test('text from outside stays one field, whatever it holds', () => {
  const hostile = [
    'a\nlevel=error msg="forged"',
    '\u001b[2J\u001b[31m',
    '{"event":"device.revoke"}',
    '\r\n\t\0',
    '\u202e',
    'x'.repeat(65_536),
  ]
  for (const topic of hostile) {
    const record = decodeEntry(encodeEntry(place, published(0, { topic })))
    assert.deepEqual({ ...record, topic: '' }, { ...published(0), ...place, topic: '' })
    if (topic.length < 1024) assert.equal('topic' in record && record.topic, topic)
  }
  const labels = { 'a\ud800': '1', 'a\ud801': '2', __proto__x: '3' } // two keys that are one in UTF-8
  const labelled = decodeEntry(encodeEntry(place, { ...published(0), labels } as AuditEvent))
  assert.deepEqual('labels' in labelled && labelled.labels, { 'a\ufffd': '1', __proto__x: '3' })
  const loneSurrogate = decodeEntry(encodeEntry(place, published(0, { topic: 'a\ud800' })))
  assert.equal('topic' in loneSurrogate && loneSurrogate.topic, 'a\ufffd')
})

test('refuses a value of another kind in a record of every message, with a coded error', () => {
  const wrong: Readonly<Record<FieldKind, readonly unknown[]>> = {
    text: [null, 7, true, {}, ['x'], new Uint8Array(1)],
    integer: [null, '7', true, {}, 0.5],
    boolean: [null, 0, 'true', {}],
    texts: [null, 7, 'x', {}, [7]],
    bytes: [],
    map: [],
  }
  const event = { ...published(0), reason: undefined }
  for (const [name, [, kind]] of Object.entries(fields).filter(([name]) => name in event)) {
    for (const value of wrong[kind]) {
      const changed = { ...event, [name]: value } as AuditEvent
      assert.throws(() => encodeEntry(place, changed), { code: 'AUDIT_INVALID' }, `${name}: ${JSON.stringify(value)}`)
    }
  }
})

test('refuses what is cut, lengthened or changed in form, with a coded error', () => {
  const entry = encodeEntry(place, published(0))
  for (let length = 0; length < entry.length; length++) {
    assert.throws(() => decodeEntry(entry.subarray(0, length)), { code: 'AUDIT_INVALID' })
    assert.throws(() => sequenceOf(entry.subarray(0, length)), { code: 'AUDIT_INVALID' })
  }
  assert.throws(() => decodeEntry(Buffer.concat([entry, Buffer.of(0)])), { code: 'AUDIT_INVALID' })
  for (let at = 0; at < entry.length; at++) {
    for (const mask of [1, 0x20, 0x80]) {
      const changed = Uint8Array.from(entry)
      changed[at] = (changed[at] ?? 0) ^ mask
      decodeOrCodedError(changed)
    }
  }
})

test('refuses other versions, unknown keys and events, and keys out of order', () => {
  const bad = [
    'a500020100020003616e0401', // version 2
    'a500010100020003616e0418ff', // event 255
    'a600010100020003616e040118c800', // key 200
    'a500010200010003616e0401', // time before sequence
    'a600010100010003616e04010200', // a key twice
    'a400010100020003616e', // no event
    'a5010100020003616e04010701', // no version
    'a500010100020003616e0501', // a session index in the event's place
    'a0',
  ]
  for (const hex of bad) {
    for (const read of [decodeEntry, sequenceOf]) {
      assert.throws(() => read(Buffer.from(hex, 'hex')), { code: 'AUDIT_INVALID' }, hex)
    }
  }
  assert.equal(decodeEntry(Buffer.from('a500010100020003616e0401', 'hex')).event, 'server.start')
})

/** Whatever still reads as a record must be written as the very same bytes: there is one form only. */
function decodeOrCodedError(bytes: Uint8Array): void {
  let record: AuditRecord
  try {
    record = decodeEntry(bytes)
  } catch (error) {
    assert.equal(error instanceof Error && 'code' in error && error.code, 'AUDIT_INVALID')
    assert.throws(() => sequenceOf(bytes), { code: 'AUDIT_INVALID' }) // as strict, though it makes nothing
    return
  }
  const { sequence, time, node, ...event } = record
  assert.equal(sequenceOf(bytes), sequence)
  assert.deepEqual(encodeEntry({ sequence, time, node }, event as AuditEvent), bytes)
}

function anyEvent(name: string, random: () => number): AuditEvent {
  const event: Record<string, unknown> = { event: name }
  for (const [field, [, kind]] of Object.entries(fields)) {
    if (!(field in place) && random() < 0.3) event[field] = anyValue(kind, random)
  }
  return event as unknown as AuditEvent
}

function anyValue(kind: FieldKind, random: () => number): unknown {
  const length = Math.floor(random() * (random() < 0.2 ? 300 : 30))
  const text = (): string =>
    Array.from({ length }, () => ['a', 'é', '水', '\u{10151}', '\n'][Math.floor(random() * 5)]).join('')
  switch (kind) {
    case 'text':
      return text()
    case 'integer':
      return Math.floor(random() * 2 ** Math.floor(random() * 53)) * (random() < 0.1 ? -1 : 1) || 0
    case 'boolean':
      return random() < 0.5
    case 'bytes':
      return Uint8Array.from({ length }, () => random() * 256)
    case 'texts':
      return Array.from({ length: Math.floor(random() * 30) }, text)
    case 'map':
      return Object.fromEntries(Array.from({ length: 5 }, (_, at) => [`k${at}${text()}`, text()]))
  }
}

/** A small repeatable source of chance (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
