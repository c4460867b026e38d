import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import type { PcrPolicyInForce } from '#enrollment'
import { logOfMeasurements, measuredBoot, type Measurement } from '#simulators'
import { decodeEventLog, encodeEventLog, encodeUefiVariable, eventTypeOf, globalVariable, replayEventLog } from '#tpm'
import { judgePcrs, requireEnforced } from '../../../enrollment/pcr-policy/appraise.js'
import { pcrPolicyOf } from '../world.js'

const now = Date.parse('2026-11-23T12:00:00Z')
const zero = new Uint8Array(32)
const rules = { secureBoot: false, require: [], only: [], forbid: [] }

/** What a machine shows that has measured these things. */
function shown(measurements: readonly Measurement[], registers: readonly number[] = [4, 7]) {
  const eventLog = logOfMeasurements(measurements)
  const values = replayEventLog(decodeEventLog(eventLog), 'sha256')
  return { eventLog, quoted: new Map(registers.map((pcr) => [pcr, values.get(pcr) ?? zero])) }
}

const byEvents = (events: Partial<PcrPolicyInForce['events']>) =>
  pcrPolicyOf([], { pcrs: new Map([4, 7].map((pcr) => [pcr, 'any'])), events: { ...rules, ...events }, eventLog: true })
const secureBoot = byEvents({ secureBoot: true })
const codesOf = (...judged: Parameters<typeof judgePcrs>) => judgePcrs(...judged)?.reasons.map(({ code }) => code)

test('good values are good, and say by which version of which policy', () => {
  const { verdict } = judgePcrs({ quoted: new Map([[0, zero]]) }, pcrPolicyOf([0]), now) ?? assert.fail()
  assert.equal(verdict.outcome, 'good')
  assert.deepEqual(verdict.policy, { name: 'measured', version: 1, mode: 'enforce' })
  assert.deepEqual(verdict.pcrs, { 0: zero })
})

test('without a policy a quote is kept and not judged, and no quote is nothing', () => {
  assert.equal(judgePcrs({ quoted: new Map([[0, zero]]) }, undefined, now)?.verdict.outcome, 'unjudged')
  assert.equal(judgePcrs({}, undefined, now), undefined)
})

test('no quote, another selection and another value are bad, each for its reason', () => {
  const policy = pcrPolicyOf([0, 7])
  assert.deepEqual(codesOf({}, policy, now), ['QUOTE_MISSING'])
  for (const registers of [[0], [7], [0, 1, 7]]) {
    const quoted = new Map(registers.map((pcr) => [pcr, zero]))
    assert.deepEqual(codesOf({ quoted }, policy, now), ['PCR_SELECTION_MISMATCH'])
  }
  const other = zero.with(0, 1)
  assert.deepEqual(
    codesOf(
      {
        quoted: new Map([
          [0, other],
          [7, other],
        ]),
      },
      policy,
      now,
    ),
    ['PCR_MISMATCH', 'PCR_MISMATCH'],
  )
})

test('in a campaign the old value and the new one are good, each in its time', () => {
  const [old, next] = ['00'.repeat(32), `01${'00'.repeat(31)}`]
  const pcrs = new Map([
    [
      0,
      [
        { value: old, until: now + 10 },
        { value: next, from: now - 10 },
      ],
    ],
  ])
  const policy = pcrPolicyOf([], { pcrs })
  const at = (value: Uint8Array, time: number) =>
    judgePcrs({ quoted: new Map([[0, value]]) }, policy, time)?.verdict.outcome
  const fresh = zero.with(0, 1)
  assert.deepEqual([at(zero, now - 11), at(fresh, now - 11)], ['good', 'bad'])
  assert.deepEqual([at(zero, now), at(fresh, now)], ['good', 'good'])
  assert.deepEqual([at(zero, now + 10), at(fresh, now + 10)], ['bad', 'good'])
})

test('a policy that enforces turns away with the reason; one that observes does not', () => {
  const quoted = new Map([[0, zero.with(0, 1)]])
  assert.throws(() => requireEnforced(judgePcrs({ quoted }, pcrPolicyOf([0]), now)), { code: 'PCR_MISMATCH' })
  const observed = requireEnforced(judgePcrs({ quoted }, pcrPolicyOf([0], { mode: 'observe' }), now))
  assert.equal(observed?.outcome, 'bad')
  assert.match(observed.reasons[0] ?? '', /^PCR_MISMATCH: PCR 0 /)
})

test('a log that does not lead to the quoted values is worth nothing', () => {
  const { quoted, eventLog } = shown(measuredBoot())
  assert.deepEqual(codesOf({ quoted, eventLog }, secureBoot, now), [])
  assert.deepEqual(codesOf({ quoted }, secureBoot, now), ['EVENT_LOG_MISSING'])
  assert.deepEqual(codesOf({ quoted, eventLog: eventLog.subarray(1) }, secureBoot, now), ['EVENT_LOG_INVALID'])
  const log = decodeEventLog(eventLog)
  for (const events of [log.events.slice(2), log.events.toReversed(), [...log.events, ...log.events]]) {
    const other = encodeEventLog({ ...log, events })
    assert.deepEqual(codesOf({ quoted, eventLog: other }, secureBoot, now), ['EVENT_LOG_MISMATCH'])
  }
})

test('Secure Boot is on where the firmware has measured so before it handed over, and nowhere else', () => {
  assert.deepEqual(codesOf(shown(measuredBoot({ secureBoot: true })), secureBoot, now), [])
  assert.deepEqual(codesOf(shown(measuredBoot({ secureBoot: false })), secureBoot, now), ['SECURE_BOOT_OFF'])
  const [, , ...without] = measuredBoot()
  assert.deepEqual(codesOf(shown(without), secureBoot, now), ['SECURE_BOOT_OFF'])
  const debugging = { pcr: 7, type: 'EV_EFI_ACTION', data: Buffer.from('UEFI Debug Mode') } as const
  assert.deepEqual(codesOf(shown([debugging, ...measuredBoot()]), secureBoot, now), ['SECURE_BOOT_OFF'])
})

test('a system that extends PCR 7 with the right words after its own, and calls the firmware’s by other names, is not believed', () => {
  const on = encodeUefiVariable({ vendor: globalVariable, name: 'SecureBoot', value: Uint8Array.of(1) })
  const late: readonly Measurement[] = [
    { pcr: 7, type: 'EV_EFI_VARIABLE_DRIVER_CONFIG', data: on },
    { pcr: 7, type: 'EV_SEPARATOR', data: new Uint8Array(4) },
  ]
  for (const boot of [measuredBoot({ secureBoot: false }), measuredBoot().slice(2)]) {
    const { quoted, eventLog } = shown([...boot, ...late])
    const log = decodeEventLog(eventLog)
    const renamed = log.events.map((event, at) => {
      return event.pcr === 7 && at < boot.length
        ? { ...event, type: eventTypeOf('EV_IPL'), data: Buffer.from('x') }
        : event
    })
    const lie = encodeEventLog({ ...log, events: renamed })
    assert.deepEqual(codesOf({ quoted, eventLog: lie }, secureBoot, now), ['SECURE_BOOT_OFF'])
  }
})

test('required, only and forbidden digests are told apart, and the comment says which rule it was', () => {
  const digests = (text: string) => [createHash('sha256').update(text).digest('hex')]
  const good = shown(measuredBoot({ loader: 'shim 15.8' }))
  const old = shown(measuredBoot({ loader: 'shim 15.4' }))
  const separator = digests('\0\0\0\0')
  const required = byEvents({ require: [{ pcr: 4, digests: digests('shim 15.8') }] })
  assert.deepEqual([codesOf(good, required, now), codesOf(old, required, now)], [[], ['EVENT_REQUIRED']])
  const only = byEvents({ only: [{ pcr: 4, digests: [...digests('shim 15.8'), ...separator] }] })
  assert.deepEqual([codesOf(good, only, now), codesOf(old, only, now)], [[], ['EVENT_FORBIDDEN']])
  const forbidden = byEvents({ forbid: [{ pcr: 4, digests: digests('shim 15.4'), comment: 'CVE-2023-40547' }] })
  assert.deepEqual([codesOf(good, forbidden, now), codesOf(old, forbidden, now)], [[], ['EVENT_FORBIDDEN']])
  assert.match(judgePcrs(old, forbidden, now)?.verdict.reasons[0] ?? '', /CVE-2023-40547/)
})

test('however much is wrong, what is said of it fits beside everything else', () => {
  const registers = Array.from({ length: 24 }, (_, pcr) => pcr)
  const quoted = new Map(registers.map((pcr) => [pcr, zero.with(0, 1)]))
  const { verdict, reasons } = judgePcrs({ quoted }, pcrPolicyOf(registers), now) ?? assert.fail()
  assert.equal(reasons.length, 24)
  assert.deepEqual([verdict.reasons.length, verdict.reasons.at(-1)], [5, 'and 20 more'])
  assert.ok(verdict.reasons.every((reason) => reason.length <= 100))
})
