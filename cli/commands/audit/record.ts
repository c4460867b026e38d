import type { AuditEventName } from '#protocol'
import { CliError } from '../../errors.js'
import type { Cell } from '../../output.js'
import { formatTime } from '../arguments.js'

/** A record as the API writes it: these three, and whatever its event says. */
export interface Record {
  readonly sequence: number
  readonly event: string
  readonly time: string
  readonly [field: string]: unknown
}

/** What a person asks first about each event, in the order of reading; all else is for `-o wide`. */
const told: Readonly<{ [Event in AuditEventName]: readonly string[] }> = {
  'token.create': ['token', 'uses', 'notAfter', 'labels', 'comment', 'operator'],
  'token.revoke': ['token', 'comment', 'operator'],
  'device.register': ['anchorKind', 'anchorHash', 'labels', 'comment', 'operator'],
  'device.enroll': ['tier', 'token', 'maker', 'notAfter', 'peer'],
  'join.oidc': ['run', 'count', 'issuerUrl', 'subject', 'notAfter', 'peer'],
  'run.forget': ['run', 'count'],
  'device.renew': ['tier', 'binding', 'notAfter', 'peer'],
  'device.promote': ['serial', 'peer'],
  'device.clone': ['sign', 'lock', 'presentedSerial', 'peer'],
  'device.report': ['reported', 'peer'],
  'device.label': ['labels', 'comment', 'operator'],
  'device.rotate': ['target', 'comment', 'operator'],
  'device.revoke': ['reason', 'comment', 'operator'],
  'lock.add': ['mode', 'target', 'devices', 'notAfter', 'lock', 'comment', 'operator'],
  'lock.remove': ['lock', 'comment', 'operator'],
  'lock.expire': ['lock'],
  'device.quarantine': ['lock', 'revision'],
  'device.release': ['revision'],
  'lock.applied': ['revision', 'sessions', 'purged', 'node'],
  'operator.issue': ['operator', 'notAfter', 'invitation', 'peer'],
  'operator.invite': ['whom', 'notAfter', 'invitation', 'comment', 'operator'],
  'operator.revoke': ['whom', 'revoked', 'comment', 'operator'],
  'operator.refuse': ['reason', 'act', 'device', 'operator', 'method', 'peer', 'count'],
  'session.connect': ['clientId', 'peer'],
  'session.end': ['reason', 'comment'],
  'session.kick': ['clientId', 'comment', 'operator'],
  'session.refuse': ['reason', 'clientId', 'comment', 'peer', 'count'],
  'message.subscribe': ['topic', 'decision', 'reason', 'rules', 'count'],
  'message.unsubscribe': ['topic'],
  'message.publish': ['topic', 'decision', 'reason', 'rules', 'count'],
  'message.deliver': ['topic', 'publisher', 'decision', 'reason', 'rules', 'count'],
  'message.drop': ['reason', 'count'],
  'policy.activate': ['policyVersion', 'comment', 'operator'],
  'policy.refuse': ['reason', 'problem', 'comment', 'operator'],
  'device.attest': ['outcome', 'reasons', 'pcrPolicy', 'policyVersion', 'mode', 'peer'],
  'pcr_policy.apply': ['pcrPolicy', 'policyVersion', 'mode', 'comment', 'operator'],
  'pcr_policy.remove': ['pcrPolicy', 'comment', 'operator'],
  'policy.render_error': ['policyVersion', 'comment'],
  'join.refuse': ['method', 'reason', 'lock', 'token', 'comment', 'peer', 'count'],
  'join.pending': ['method', 'reason', 'maker', 'hardwareSerial', 'anchorHash', 'peer'],
  'join.approve': ['reason', 'comment', 'operator'],
  'join.deny': ['reason', 'anchorHash', 'comment', 'operator'],
  'services.discover': ['device', 'query', 'reason', 'count'],
  'audit.read': ['query', 'comment', 'operator', 'count'],
  'payload.erase': ['day', 'comment', 'operator'],
  'service.restore': ['treeSize', 'at', 'epoch'],
  'backup.take': ['comment', 'operator'],
  'ca.create': ['subject'],
  'server.start': ['version', 'runtime', 'node'],
  'server.stop': [],
  'log.recovery': ['comment', 'cutBytes'],
  'log.failover': ['comment'],
  'log.key_rotate': ['verifierKey', 'notAfter', 'comment', 'operator'],
  'log.key_retire': ['verifierKey'],
  'audit.gap': ['count', 'from', 'to'],
  'witness.refuse': ['witness', 'reason', 'comment'],
  'log.retention': ['reason', 'minimumIndex'],
  'store.quarantine': ['clientId', 'count', 'comment'],
}

/** How a field, or the field of one event, is said where its value alone would not explain itself. */
const phrases: Readonly<{ [field: string]: (value: string) => string }> = {
  anchorKind: (kind) => `known by ${kind}`,
  clientId: (id) => `as ${id}`,
  count: (count) => (count === '1' ? '' : `${count} times`),
  cutBytes: (count) => `cut ${count} bytes`,
  decision: (decision) => (decision === 'deny' ? 'DENIED' : 'allowed'),
  devices: (count) => `${count} devices`,
  from: (time) => `from ${formatTime(time)}`,
  notAfter: (time) => `until ${formatTime(time)}`,
  node: (name) => `on ${name}`,
  operator: (name) => `by ${name}`,
  'operator.issue.operator': (name) => `for ${name}`,
  pcrPolicy: (name) => `policy ${name}`,
  peer: (address) => `from ${address}`,
  policyVersion: (version) => `version ${version}`,
  publisher: (device) => `from ${device}`,
  purged: (count) => `${count} messages removed`,
  revision: (number) => `revision ${number}`,
  serial: (serial) => `certificate ${serial}`,
  run: (name) => `run ${name}`,
  'join.oidc.count': (count) => `${count} keys`,
  'run.forget.count': (count) => `${count} devices`,
  'audit.gap.count': (count) => `${count} records are missing`,
  sessions: (count) => `${count} connections ended`,
  tier: (tier) => `tier ${tier}`,
  to: (time) => `to ${formatTime(time)}`,
  token: (id) => `token ${id}`,
  uses: (count) => `for ${count}`,
}

/** Stand in columns of their own, or, as whole certificates do, in `-o json` only. */
const elsewhere: ReadonlySet<string> = new Set(['time', 'event', 'device', 'certificate'])

/** @throws CliError BAD_ANSWER */
export function parseRecord(line: string): Record {
  const record = parseJson(line)
  if (isRecord(record)) return record
  throw new CliError('BAD_ANSWER', 'the server sent an audit record that this version does not understand')
}

/** When, what, who and what about it; the last cell holds all that the one before leaves out. */
export function recordCells(record: Record): readonly Cell[] {
  const { time, event, device } = record
  const names = isKnown(event) ? told[event] : []
  const rest = Object.keys(record).filter((name) => !names.includes(name) && !elsewhere.has(name))
  return [
    { text: formatTime(time, 'milliseconds'), width: 24 },
    { text: event, width: 19 },
    { text: device === undefined ? '-' : formatValue(device), width: 16 },
    {
      text: names
        .map((name) => say(event, name, record[name]))
        .filter(Boolean)
        .join('  '),
    },
    { text: rest.map((name) => `${formatValue(name)}=${formatValue(record[name])}`).join(' '), wide: true },
  ]
}

function say(event: string, name: string, value: unknown): string {
  const text = value === '' ? '' : formatValue(value)
  const phrase = phrases[`${event}.${name}`] ?? phrases[name]
  return text === '' || phrase === undefined ? text : phrase(text)
}

/** One word each, whatever it holds: text with a space, a quote, a backslash or anything that does not show is quoted. */
export function formatValue(value: unknown): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.map(formatValue).join(',')
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([key, inner]) => `${formatValue(key)}=${formatValue(inner)}`)
      .join(',')
  }
  if (typeof value !== 'string') return JSON.stringify(value)
  return /^[^"\\\s\p{C}\p{M}]+$/u.test(value) ? value : JSON.stringify(value)
}

function isKnown(event: string): event is AuditEventName {
  return Object.hasOwn(told, event)
}

function isRecord(value: unknown): value is Record {
  if (typeof value !== 'object' || value === null) return false
  const { sequence, event, time } = value as Partial<Record>
  return typeof sequence === 'number' && typeof event === 'string' && typeof time === 'string'
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
