import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { logOfMeasurements, measuredBoot } from '#simulators'
import { decodeEventLog, encodeEventLog, type EventLog, eventTypeOf, type LoggedEvent, replayEventLog } from '#tpm'
import { seeded } from '../../seeded.js'
import { hasCode } from '../samples.js'

const banks = [{ algorithm: 0x000b, digestBytes: 32 }]
const digest = new Uint8Array(32).fill(7)
const noAction = eventTypeOf('EV_NO_ACTION')
const boot = logOfMeasurements(measuredBoot())

function event(over: Partial<LoggedEvent> = {}): LoggedEvent {
  return {
    pcr: 4,
    type: eventTypeOf('EV_ACTION'),
    digests: new Map([[0x000b, digest]]),
    data: new Uint8Array(3),
    ...over,
  }
}

function startup(locality: readonly number[]): LoggedEvent {
  const data = Buffer.concat([Buffer.from('StartupLocality\0'), Buffer.from(locality)])
  return event({ pcr: 0, type: noAction, digests: new Map([[0x000b, new Uint8Array(32)]]), data })
}

const bytesOf = (...events: readonly LoggedEvent[]) => encodeEventLog({ banks, events })
const read = (log: EventLog) => replayEventLog(decodeEventLog(encodeEventLog(log)), 'sha256')

test('a log is read as it was written', () => {
  const events = [startup([3]), event(), event({ pcr: 7, type: 0x8000_00ff, data: new Uint8Array(0) })]
  const { banks: readBanks, events: readEvents } = decodeEventLog(bytesOf(...events))
  assert.deepEqual(readBanks, banks)
  assert.deepEqual(
    readEvents.map(({ pcr, type, data }) => [pcr, type, data.length]),
    events.map(({ pcr, type, data }) => [pcr, type, data.length]),
  )
  assert.deepEqual(Buffer.from(readEvents[1]?.digests.get(0x000b) ?? []), Buffer.from(digest))
})

test('a replay extends each PCR with its digests in their order', () => {
  const extend = (before: Uint8Array, by: Uint8Array) => createHash('sha256').update(before).update(by).digest()
  const other = new Uint8Array(32).fill(9)
  const values = read({ banks, events: [event(), event({ pcr: 5 }), event({ digests: new Map([[0x000b, other]]) })] })
  assert.deepEqual([...values.keys()], [4, 5])
  assert.deepEqual(Buffer.from(values.get(4) ?? []), extend(extend(new Uint8Array(32), digest), other))
})

test('PCR 0 begins with the locality from which the TPM was started, and an EV_NO_ACTION extends nothing', () => {
  const [locality, ...zeros] = Buffer.from(read({ banks, events: [startup([3])] }).get(0) ?? []).reverse()
  assert.equal(locality, 3)
  assert.ok(zeros.every((byte) => byte === 0))
  const nothing = event({ pcr: 0xffff_ffff, type: noAction })
  assert.equal(read({ banks, events: [nothing] }).size, 0)
  assert.throws(() => read({ banks, events: [startup([9])] }), hasCode('STRUCTURE_INVALID'))
  assert.throws(() => read({ banks, events: [startup([3]), startup([3])] }), hasCode('STRUCTURE_INVALID'))
  assert.throws(() => read({ banks, events: [event({ pcr: 0 }), startup([3])] }), hasCode('STRUCTURE_INVALID'))
})

test('a log of before TPM 2.0, and one without the bank that is asked for, are not supported', () => {
  const old = Buffer.concat([Buffer.alloc(4), Buffer.from([8, 0, 0, 0]), Buffer.alloc(24)])
  assert.throws(() => decodeEventLog(old), hasCode('STRUCTURE_UNSUPPORTED'))
  assert.throws(() => replayEventLog(decodeEventLog(bytesOf(event())), 'sha384'), hasCode('STRUCTURE_UNSUPPORTED'))
})

test('an event of no PCR, of another bank, or of one bank twice is refused', () => {
  const other = new Map([[0x000c, new Uint8Array(48)]])
  for (const hostile of [event({ pcr: 24 }), event({ pcr: 0xffff_ffff }), event({ digests: other })]) {
    assert.throws(() => decodeEventLog(bytesOf(hostile)), hasCode('STRUCTURE_INVALID'))
  }
  assert.throws(() => decodeEventLog(bytesOf(event({ digests: new Map() }))), hasCode('STRUCTURE_INVALID'))
})

test('a header whose banks lie about their digests, or repeat, is refused', () => {
  for (const lying of [
    [],
    [{ algorithm: 0x000b, digestBytes: 20 }],
    [{ algorithm: 0x7777, digestBytes: 32 }],
    [...banks, ...banks],
    Array.from({ length: 9 }, () => ({ algorithm: 0x000b, digestBytes: 32 })),
  ]) {
    assert.throws(() => decodeEventLog(encodeEventLog({ banks: lying, events: [] })), hasCode('STRUCTURE_INVALID'))
  }
})

test('more events, or more bytes, than any firmware writes are refused', () => {
  const many = Array.from({ length: 2049 }, () => event({ data: new Uint8Array(0) }))
  assert.equal(decodeEventLog(bytesOf(...many.slice(1))).events.length, 2048)
  assert.throws(() => decodeEventLog(bytesOf(...many)), hasCode('STRUCTURE_INVALID'))
  const long = event({ data: new Uint8Array(128 * 1024) })
  assert.throws(() => decodeEventLog(bytesOf(long)), hasCode('STRUCTURE_INVALID'))
})

test('a log that is cut anywhere but between two events, or has one byte more, is refused', () => {
  const whole = decodeEventLog(boot).events.length
  let complete = 0
  for (let length = 0; length < boot.length; length++) {
    try {
      assert.ok(decodeEventLog(boot.subarray(0, length)).events.length < whole)
      complete++
    } catch (error) {
      hasCode('STRUCTURE_INVALID', 'STRUCTURE_UNSUPPORTED')(error)
    }
  }
  assert.equal(complete, whole) // without its last event, without its last two, …
  assert.throws(() => decodeEventLog(Uint8Array.from([...boot, 0])), hasCode('STRUCTURE_INVALID'))
})

test('20,000 logs with some bytes changed are read, or end in a coded error', () => {
  const random = seeded(6)
  for (let round = 0; round < 20_000; round++) {
    const changed = Uint8Array.from(boot)
    for (let changes = 1 + random(4); changes > 0; changes--) changed[random(changed.length)] = random(256)
    try {
      replayEventLog(decodeEventLog(changed), 'sha256')
    } catch (error) {
      hasCode('STRUCTURE_INVALID', 'STRUCTURE_UNSUPPORTED')(error)
    }
  }
})
