import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { parse } from 'yaml'
import { logOfMeasurements, measuredBoot } from '#simulators'
import { decodeEventLog, eventTypeName, replayEventLog } from '#tpm'
import { needs } from '../../needs.js'

interface Told {
  readonly events: readonly { readonly PCRIndex: number; readonly EventType: string }[]
  readonly pcrs: Readonly<Record<'sha1' | 'sha256', Readonly<Record<string, number | bigint>>>>
}

test('tpm2_eventlog reads our log, and comes to the same events and PCRs', needs('tpm2_eventlog'), (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const log = logOfMeasurements(measuredBoot())
  writeFileSync(join(folder, 'log'), log)
  const text = execFileSync('tpm2_eventlog', [join(folder, 'log')], { encoding: 'utf8' })
  const told = parse(text, { intAsBigInt: true }) as Told

  const { events } = decodeEventLog(log)
  assert.deepEqual(
    told.events.slice(1).map(({ PCRIndex, EventType }) => [Number(PCRIndex), EventType]), // without the header
    events.map(({ pcr, type }) => [pcr, eventTypeName(type)]),
  )
  const ours = [...replayEventLog(decodeEventLog(log), 'sha256')].map(([pcr, value]) => {
    return [pcr, BigInt(`0x${Buffer.from(value).toString('hex')}`)] as const
  })
  const theirs = Object.entries(told.pcrs.sha256).map(([pcr, value]) => [Number(pcr), BigInt(value)] as const)
  assert.deepEqual(new Map(ours), new Map(theirs))
})
