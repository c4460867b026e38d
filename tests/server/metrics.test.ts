import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { type Levels, Statistics } from '#broker'
import { createMetrics, type MetricsParts } from '../../server/metrics.js'
import { readExposition, type Scrape } from './exposition.js'

const idle: Levels = {
  ...{ connections: { '3.1.1': { tls: 0, websocket: 0 }, '5': { tls: 0, websocket: 0 } }, sessions: 0 },
  ...{ subscriptions: 0, queuedMessages: 0, queuedBytes: 0, inflightMessages: 0, retainedMessages: 0 },
}

/** The metrics over counters that the test turns itself. */
function open(t: TestContext, levels: () => Levels = () => idle) {
  let milliseconds = 0
  const statistics = new Statistics(() => (milliseconds += 1))
  const audit: MetricsParts['audit'] & { durable: number } = {
    ...{ size: 10, durable: 7, waitingBytes: 300, congested: false, room: 'reserved', writable: true },
    ...{ failovers: 0, unrecorded: 0, onSyncTime: undefined },
  }
  const totals = { devices: { active: 3, registered: 1, revoked: 2 }, policy: { version: 4 } }
  const broker = { statistics, levels, healthy: true }
  const newest = { size: 6, at: 1_700_000_001_000 }
  const problem = 'no answer in time'
  const places = [{ kind: 'witness' as const, name: 'w', given: newest, problem }]
  const outside = { status: () => ({ newest, places }) }
  const retention = { latest: { minimumIndex: 2, bytes: 4096 } }
  const now = () => 1_700_000_005_000
  const metrics = createMetrics({
    startedAt: 1_700_000_000_500,
    now,
    totals: () => totals,
    clones: () => 0,
    audit,
    retention,
    outside,
    broker,
  })
  t.after(() => metrics.close())
  const scrape = async (): Promise<Scrape> => readExposition(await metrics.text())
  return { statistics, audit, metrics, scrape }
}

test('a scrape finds exactly what was counted, and the next one what was added', async (t) => {
  const { statistics, audit, scrape } = open(t)
  statistics.connects['5'].websocket += 2
  statistics.messagesIn[1] += 5
  statistics.bytesOut += 1234
  statistics.refusals.add('unknown_certificate')
  statistics.ends.add('lost', 2)
  statistics.drops.add('queue_full', 7)
  audit.onSyncTime?.(0.004)
  statistics.decisions.publish.allow += 4
  statistics.decisions.publish.deny.add('no_rule', 3)
  const first = await scrape()
  const expected = {
    start_time_seconds: 1_700_000_000.5,
    devices_active: 3,
    policy_version: 4,
    'connects_total{protocol="5",transport="websocket"}': 2,
    'connects_total{protocol="3.1.1",transport="tls"}': 0,
    'messages_received_total{qos="1"}': 5,
    sent_bytes_total: 1234,
    'connection_refusals_total{reason="unknown_certificate"}': 1,
    'session_ends_total{reason="lost"}': 2,
    'messages_dropped_total{reason="queue_full"}': 7,
    'decisions_total{action="publish",effect="allow",reason=""}': 4,
    'decisions_total{action="publish",effect="deny",reason="no_rule"}': 3,
    audit_records_total: 10,
    audit_first_record: 2,
    audit_kept_bytes: 4096,
    audit_waiting: 2,
    audit_waiting_bytes: 300,
    'audit_sync_seconds_bucket{le="0.0025"}': 0,
    'audit_sync_seconds_bucket{le="0.005"}': 1,
    audit_congested: 0,
    audit_reserved: 1,
    audit_healthy: 1,
  }
  for (const [name, value] of Object.entries(expected)) assert.equal(first.get(`touchmark_${name}`), value, name)

  statistics.messagesIn[1] += 1
  audit.durable = 9
  const second = await scrape()
  assert.equal(second.get('touchmark_messages_received_total{qos="1"}'), 6)
  assert.equal(second.get('touchmark_audit_waiting'), 0)
})

test('levels are counted once for each scrape', async (t) => {
  let counted = 0
  const { scrape } = open(t, () => ({ ...idle, sessions: ++counted }))
  const before = counted
  assert.equal((await scrape()).get('touchmark_sessions_stored'), before + 1)
  assert.equal((await scrape()).get('touchmark_sessions_stored'), before + 2)
})

test('the time of decisions is a histogram by action, of one decision in 64', async (t) => {
  const { statistics, scrape } = open(t)
  for (let n = 0; n < 129; n++) statistics.endDecision('receive', statistics.beginDecision('receive'))
  const samples = await scrape()
  assert.equal(samples.get('touchmark_decision_seconds_count{action="receive"}'), 3)
  assert.equal(samples.get('touchmark_decision_seconds_bucket{le="0.00025",action="receive"}'), 0)
  assert.equal(samples.get('touchmark_decision_seconds_bucket{le="0.001",action="receive"}'), 3)
})

test('how late the event loop is, and what the process takes, are told in base units', async (t) => {
  const { scrape } = open(t)
  const samples = await scrape()
  for (const quantile of ['0.5', '0.99', '1']) {
    const delay = samples.get(`touchmark_event_loop_delay_seconds{quantile="${quantile}"}`) ?? NaN
    assert.ok(delay >= 0 && delay < 60, quantile)
  }
  assert.ok((samples.get('touchmark_process_cpu_seconds_total') ?? 0) > 0)
  assert.ok((samples.get('touchmark_process_resident_memory_bytes') ?? 0) > 1e6)
})

test('after its end nothing is measured any more', (t) => {
  const { statistics, metrics } = open(t)
  metrics.close()
  assert.equal(statistics.onDecisionTime, undefined)
})
