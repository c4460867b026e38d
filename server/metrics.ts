import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { AuditLog, OutsideCheckpoints, Retention } from '#audit'
import { type Broker, type ByWay, type Statistics } from '#broker'
import type { StatusView } from '#protocol'
import { Exposition, type Labels, type Samples } from './exposition.js'

export interface MetricsParts {
  readonly startedAt: number
  readonly totals: () => { readonly devices: StatusView['devices']; readonly policy: { readonly version: number } }
  /** Enrollments that were locked since the start because there are two copies of them. */
  readonly clones: () => number
  readonly audit: MeasuredLog
  readonly retention: Pick<Retention, 'latest'>
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly outside: Pick<OutsideCheckpoints, 'status'>
  readonly broker: Pick<Broker, 'statistics' | 'levels' | 'healthy'>
}

/** What is asked of the log; it tells each sync's time by itself. */
type MeasuredLog = Pick<
  AuditLog,
  | ('size' | 'durable' | 'waitingBytes' | 'congested' | 'room' | 'writable')
  | ('failovers' | 'unrecorded' | 'onSyncTime')
>

/** What `/metrics` answers, and in which format. */
export interface Metrics {
  readonly contentType: string
  text(): Promise<string>
  close(): void
}

/** In seconds. */
const decisionBuckets = [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 5e-3, 2.5e-2]
const syncBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const loopResolutionMilliseconds = 20

/** How the service and its broker are, in numbers. No device is ever a label. */
export function createMetrics({
  startedAt,
  now,
  totals,
  clones,
  audit,
  retention,
  outside,
  broker,
}: MetricsParts): Metrics {
  const { statistics } = broker
  const metrics = new Exposition()
  let levels = broker.levels()
  let { devices, policy } = totals()

  metrics.gauge('start_time_seconds', 'When the service started, in Unix time.', () => startedAt / 1000)
  metrics.gauge('devices_active', 'Devices that have joined and are not revoked.', () => devices.active)
  metrics.gauge('devices_revoked', 'Devices that were revoked.', () => devices.revoked)
  metrics.counter('clones_total', 'Enrollments locked because there are two copies of a device.', clones)
  metrics.gauge('policy_version', 'Version of the policy in force.', () => policy.version)

  const way = ['protocol', 'transport']
  const connected = () => byWay(levels.connections)
  metrics.gauge('sessions_connected', 'MQTT sessions with a connection.', connected, way)
  metrics.counter('connects_total', 'Connections that became a session.', () => byWay(statistics.connects), way)
  const refusals = () => by('reason', statistics.refusals)
  metrics.counter('connection_refusals_total', 'Connections that were turned away.', refusals, ['reason'])
  const ends = () => by('reason', statistics.ends)
  metrics.counter('session_ends_total', 'Connections of sessions that ended.', ends, ['reason'])
  metrics.gauge('sessions_stored', 'MQTT sessions, connected or kept.', () => levels.sessions)
  metrics.gauge('subscriptions', 'Subscriptions of all sessions.', () => levels.subscriptions)

  const received = () => by('qos', Object.entries(statistics.messagesIn))
  metrics.counter('messages_received_total', 'PUBLISH packets from devices.', received, ['qos'])
  const sent = () => by('qos', Object.entries(statistics.messagesOut))
  metrics.counter('messages_sent_total', 'PUBLISH packets to devices.', sent, ['qos'])
  metrics.counter('received_bytes_total', 'Bytes of MQTT from devices.', () => statistics.bytesIn)
  metrics.counter('sent_bytes_total', 'Bytes of MQTT to devices.', () => statistics.bytesOut)
  const drops = () => by('reason', statistics.drops)
  metrics.counter('messages_dropped_total', 'Messages that sessions have lost.', drops, ['reason'])
  metrics.gauge('queued_messages', 'Messages that wait for sessions.', () => levels.queuedMessages)
  metrics.gauge('queued_bytes', 'What the waiting messages take.', () => levels.queuedBytes)
  metrics.gauge('inflight_messages', 'Messages sent and not acknowledged.', () => levels.inflightMessages)
  metrics.gauge('retained_messages', 'Retained messages.', () => levels.retainedMessages)

  const decided = () => byDecision(statistics)
  metrics.counter('decisions_total', 'Decisions by policy.', decided, ['action', 'effect', 'reason'])
  const help = 'Time of a decision by policy; one in 64 is timed.'
  const observe = metrics.histogram('decision_seconds', help, decisionBuckets, ['action'])
  statistics.onDecisionTime = (action, seconds) => observe({ action }, seconds)

  metrics.counter('audit_records_total', 'Records of the audit log.', () => audit.size)
  const kept = () => retention.latest ?? { minimumIndex: 0, bytes: 0 }
  metrics.gauge('audit_first_record', 'The first record that is kept.', () => kept().minimumIndex)
  metrics.gauge('audit_kept_bytes', 'What records take on disk, at the last look.', () => kept().bytes)
  metrics.gauge('audit_waiting', 'Records that are not on disk yet.', () => audit.size - 1 - audit.durable)
  metrics.gauge('audit_waiting_bytes', 'What these take.', () => audit.waitingBytes)
  metrics.gauge('audit_congested', '1 while devices wait for the log.', () => Number(audit.congested))
  metrics.gauge('audit_full', '1 while only what operators do can be recorded.', () => Number(audit.room === 'full'))
  metrics.gauge('audit_reserved', '1 while there is room for that on a full disk.', () =>
    Number(audit.room === 'reserved'),
  )
  metrics.gauge('audit_healthy', '1 while the audit log can be written.', () => Number(audit.writable))
  metrics.counter('audit_failovers_total', 'Batches that had to be written again.', () => audit.failovers)
  metrics.counter('audit_unrecorded_total', 'Records missing in the mode bestEffort.', () => audit.unrecorded)
  const observeSync = metrics.histogram('audit_sync_seconds', 'To write and sync a batch.', syncBuckets, [])
  audit.onSyncTime = (seconds) => observeSync({}, seconds)
  const places = () => outside.status().places
  const failing = () => places().filter(({ problem }) => problem !== undefined).length
  metrics.gauge('audit_outside_places', 'Witnesses and other places that get checkpoints.', () => places().length)
  metrics.gauge('audit_outside_failing', 'Those of which the last attempt failed.', failing)
  const newest = () => outside.status().newest
  const size = () => newest()?.size ?? 0
  metrics.gauge('audit_outside_records', 'Records that the newest checkpoint outside covers.', size)
  const age = () => (now() - (newest()?.at ?? 0)) / 1000
  metrics.gauge('audit_outside_age_seconds', 'Since somebody outside got that; since 1970 if never.', age)
  metrics.gauge('broker_healthy', '1 until log or store have failed.', () => Number(broker.healthy))

  const loop = monitorEventLoopDelay({ resolution: loopResolutionMilliseconds })
  loop.enable()
  metrics.gauge('event_loop_delay_seconds', 'Since the last scrape.', () => delays(loop), ['quantile'])
  metrics.counter('process_cpu_seconds_total', 'User and system CPU time.', cpuSeconds)
  metrics.gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss())
  metrics.gauge('process_heap_bytes', 'JavaScript objects in use.', () => process.memoryUsage().heapUsed)

  return {
    contentType: metrics.contentType,
    async text() {
      levels = broker.levels()
      ;({ devices, policy } = totals())
      const text = await metrics.text()
      loop.reset()
      return text
    },
    close() {
      loop.disable()
      statistics.onDecisionTime = audit.onSyncTime = undefined
    },
  }
}

function* by(label: string, counts: Iterable<readonly [string, number]>): Iterable<readonly [Labels, number]> {
  for (const [kind, count] of counts) yield [{ [label]: kind }, count]
}

function* byWay(counts: ByWay): Iterable<readonly [Labels, number]> {
  for (const [protocol, transports] of Object.entries(counts)) {
    for (const [transport, count] of Object.entries(transports)) yield [{ protocol, transport }, count]
  }
}

function* byDecision({ decisions }: Statistics): Iterable<readonly [Labels, number]> {
  for (const [action, { allow, deny }] of Object.entries(decisions)) {
    yield [{ action, effect: 'allow', reason: '' }, allow]
    for (const [reason, count] of deny) yield [{ action, effect: 'deny', reason }, count]
  }
}

/** How much later than asked for timers ran. */
function delays(loop: IntervalHistogram): Samples {
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - loopResolutionMilliseconds / 1000)
  return [
    [{ quantile: '0.5' }, late(loop.percentile(50))],
    [{ quantile: '0.99' }, late(loop.percentile(99))],
    [{ quantile: '1' }, late(loop.max)],
  ]
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
