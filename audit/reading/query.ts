import type { AuditEventName, AuditRecord, DeviceId, OperatorName, TopicFilter } from '#protocol'
import { filterMatches, topicLevels } from '#protocol'

/** Which records to find; what is absent does not narrow. As text: see search/query-text.ts. */
export interface AuditQuery {
  readonly device?: DeviceId
  /** Only records of these; no term of the language, but what the one who asks may see. Over threads, a Set. */
  readonly devices?: { has(device: DeviceId): boolean }
  readonly session?: string
  readonly event?: AuditEventName
  /** Records whose topic lies in what this filter matches. */
  readonly topicFilter?: TopicFilter
  readonly decision?: 'allow' | 'deny'
  /** A rule that took part in the decision, `role/rule`. */
  readonly rule?: string
  readonly operator?: OperatorName
  /** Milliseconds since 1970; from this one on. */
  readonly since?: number
  /** Up to, and not with, this one. */
  readonly until?: number
  /** Only what comes behind this sequence number in the order asked for: where a search was left, it goes on. */
  readonly after?: number
  /** Default `newest` first. */
  readonly order?: 'newest' | 'oldest'
  /** At most so many; all by default. */
  readonly limit?: number
}

/** The query as a test that a record passes or not. */
export function matcherOf(query: AuditQuery): (record: AuditRecord) => boolean {
  const {
    device,
    devices,
    session,
    event,
    decision,
    operator,
    topicFilter,
    rule,
    since = -Infinity,
    until = Infinity,
  } = query
  const filter = topicFilter === undefined ? undefined : topicLevels(topicFilter)
  return (record) =>
    record.time >= since &&
    record.time < until &&
    (event === undefined || record.event === event) &&
    (devices === undefined || ('device' in record && record.device !== undefined && devices.has(record.device))) &&
    (device === undefined || ('device' in record && record.device === device)) &&
    (session === undefined || ('session' in record && record.session === session)) &&
    (decision === undefined || ('decision' in record && record.decision === decision)) &&
    (operator === undefined || ('operator' in record && record.operator === operator)) &&
    (rule === undefined || ('rules' in record && record.rules.includes(rule))) &&
    (filter === undefined || ('topic' in record && filterMatches(filter, record.topic.split('/'))))
}
