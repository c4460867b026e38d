import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEvent, AuditRecord } from '#protocol'
import { decodeEntry, sequenceOf } from '../../audit/entries/read-entry.js'
import { encodeEntry } from '../../audit/entries/write-entry.js'
import { eventNumbers, type FieldKind, fields, flagsKey } from '../../audit/entries/fields.js'
import { published } from './world.js'

const place = { sequence: 2 ** 40, time: 1_700_000_000_000 }

test('a message comes back as it was, in under 150 bytes for a topic of 60', () => {
  const event = published(7, { topic: 't'.repeat(60), messageId: 65_535 })
  const entry = encodeEntry(place, event)
  assert.ok(entry.length < 150, `${entry.length} bytes`)
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
  const keys = [flagsKey, ...Object.values(fields).flatMap(([key, kind]) => (kind === 'flags' ? [] : [key]))]
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
    session: [
      null,
      7,
      true,
      {},
      '',
      '5E55105E55105E551001',
      '5e55105e55105e5510',
      '5e55105e55105e55100g',
      'é'.repeat(20),
    ],
    flags: [null, 3, -1, 0.5, 'x', {}],
    back: [],
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
    '8502000001a0', // version 2
    '8501000018ffa0', // event 255
    '8501000001a118c800', // key 200
    '8501000001a20c000c00', // a key twice
    '8501000001a20c000700', // keys out of order
    '84010000a0', // no event
    '8501000001', // no fields
    '8501000001a10900', // flags of what has none
    '8501000007a0', // none of what has
    '8501000007a1091840', // flags that mean nothing
    '8501000007a10906', // QoS 3
    '8501000008a10910', // a will that is delivered
    '8501000009a10901', // a subscription that is retained
    '8501000001a10649001122334455667788', // the name of a session, a byte short
    '80',
    'a0',
  ]
  for (const hex of bad) {
    for (const read of [decodeEntry, sequenceOf]) {
      assert.throws(() => read(Buffer.from(hex, 'hex')), { code: 'AUDIT_INVALID' }, hex)
    }
  }
  assert.equal(decodeEntry(Buffer.from('8501000001a0', 'hex')).event, 'server.start')
  const refused = decodeEntry(Buffer.from('8501000009a1091826', 'hex'))
  assert.deepEqual(refused, { sequence: 0, time: 0, event: 'message.subscribe', decision: 'deny' })
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
  const { sequence, time, ...event } = record
  assert.equal(sequenceOf(bytes), sequence)
  assert.deepEqual(encodeEntry({ sequence, time }, event as AuditEvent), bytes)
}

function anyEvent(name: string, random: () => number): AuditEvent {
  const event: Record<string, unknown> = { event: name, ...anyFlags(name, random) }
  for (const [field, [, kind]] of Object.entries(fields)) {
    if (kind !== 'flags' && random() < 0.3) event[field] = anyValue(kind, random)
  }
  return event as unknown as AuditEvent
}

function anyFlags(name: string, random: () => number): object {
  const odds = () => random() < 0.5
  const decision = odds() ? 'allow' : 'deny'
  if (name === 'message.subscribe') return odds() ? { decision } : { decision, qos: Math.floor(random() * 3) }
  const handled = { decision, qos: Math.floor(random() * 3), retain: odds(), dup: odds() }
  if (name === 'message.deliver') return handled
  return name === 'message.publish' ? { ...handled, action: odds() ? 'publish' : 'will' } : {}
}

function anyValue(kind: Exclude<FieldKind, 'flags'>, random: () => number): unknown {
  const length = Math.floor(random() * (random() < 0.2 ? 300 : 30))
  const text = (): string =>
    Array.from({ length }, () => ['a', 'é', '水', '\u{10151}', '\n'][Math.floor(random() * 5)]).join('')
  switch (kind) {
    case 'text':
      return text()
    case 'session':
      return Array.from({ length: 20 }, () => Math.floor(random() * 16).toString(16)).join('')
    case 'back':
      return Math.floor(random() * 2 ** 41) - 1
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
