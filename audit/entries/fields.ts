import type { AuditEventName, AuditRecord } from '#protocol'

/*
 * The numbers that stand for names on disk. A number, once used, keeps its meaning for ever; new names get new numbers.
 * Keys up to 23 take one byte: they go to what every message's record holds.
 */

type NameIn<Union> = Union extends unknown ? keyof Union : never
type ValueIn<Union, Name> = Union extends unknown ? (Name extends keyof Union ? Union[Name] : never) : never
type KindOf<Value> = [Value] extends [string | undefined]
  ? 'text'
  : [Value] extends [number | undefined]
    ? 'integer'
    : [Value] extends [boolean | undefined]
      ? 'boolean'
      : [Value] extends [Uint8Array | undefined]
        ? 'bytes'
        : [Value] extends [readonly string[] | undefined]
          ? 'texts'
          : 'map'

export type FieldName = Exclude<NameIn<AuditRecord>, 'event'>
export type FieldKind = 'text' | 'integer' | 'boolean' | 'bytes' | 'texts' | 'map'

/** Where the entry's own format version and the event's number stand. */
export const versionKey = 0
export const eventKey = 4
export const entryVersion = 1

/** Every property of every event, with its key and its kind; the compiler asks for the ones that are missing. */
export const fields: {
  readonly [Name in FieldName]: readonly [key: number, kind: KindOf<ValueIn<AuditRecord, Name>>]
} = {
  sequence: [1, 'integer'],
  time: [2, 'integer'],
  node: [3, 'text'],
  device: [5, 'text'],
  session: [6, 'text'],
  sessionIndex: [7, 'integer'],
  topic: [8, 'text'],
  decision: [9, 'text'],
  rules: [10, 'texts'],
  policyVersion: [11, 'integer'],
  action: [12, 'text'],
  qos: [13, 'integer'],
  retain: [14, 'boolean'],
  dup: [15, 'boolean'],
  messageId: [16, 'integer'],
  size: [17, 'integer'],
  recipients: [18, 'integer'],
  publisher: [19, 'text'],
  origin: [20, 'integer'],
  reason: [21, 'text'],
  peer: [22, 'text'],
  serial: [23, 'text'],
  comment: [24, 'text'],
  count: [25, 'integer'],
  operator: [26, 'text'],
  instance: [27, 'text'],
  fingerprint: [28, 'text'],
  spkiHash: [29, 'text'],
  certificate: [30, 'bytes'],
  notBefore: [31, 'integer'],
  notAfter: [32, 'integer'],
  tier: [33, 'text'],
  profile: [34, 'text'],
  labels: [35, 'map'],
  reported: [36, 'map'],
  token: [37, 'text'],
  secretHash: [38, 'text'],
  uses: [39, 'integer'],
  anchorKind: [40, 'text'],
  anchorHash: [41, 'text'],
  binding: [42, 'text'],
  akName: [43, 'bytes'],
  resetCount: [44, 'integer'],
  restartCount: [45, 'integer'],
  clock: [46, 'integer'],
  safe: [47, 'boolean'],
  firmware: [48, 'text'],
  presentedSerial: [49, 'text'],
  epoch: [50, 'integer'],
  clientId: [51, 'text'],
  clean: [52, 'boolean'],
  sessionPresent: [53, 'boolean'],
  keepAliveSeconds: [54, 'integer'],
  method: [55, 'text'],
  policyHash: [56, 'text'],
  query: [57, 'text'],
  version: [58, 'text'],
  cutBytes: [59, 'integer'],
  subject: [60, 'text'],
  runtime: [61, 'text'],
  at: [62, 'integer'],
  forget: [63, 'boolean'],
  protocolLevel: [64, 'integer'],
  from: [70, 'integer'],
  to: [71, 'integer'],
  payloadNonce: [75, 'bytes'],
  payloadCommitment: [76, 'bytes'],
  day: [77, 'text'],
  witness: [90, 'text'],
  treeSize: [91, 'integer'],
  verifierKey: [85, 'text'],
  previousVerifierKey: [86, 'text'],
  formerMinimumIndex: [95, 'integer'],
  minimumIndex: [96, 'integer'],
}

export const eventNumbers: Readonly<Record<AuditEventName, number>> = {
  'server.start': 1,
  'server.stop': 2,
  'log.recovery': 3,
  'session.connect': 4,
  'session.end': 5,
  'session.refuse': 6,
  'message.publish': 7,
  'message.deliver': 8,
  'message.subscribe': 9,
  'message.unsubscribe': 10,
  'message.drop': 11,
  'device.register': 12,
  'device.enroll': 13,
  'device.renew': 14,
  'device.promote': 15,
  'device.label': 16,
  'device.revoke': 17,
  'token.create': 18,
  'token.revoke': 19,
  'operator.issue': 20,
  'operator.refuse': 21,
  'join.refuse': 22,
  'policy.activate': 23,
  'policy.refuse': 24,
  'policy.render_error': 25,
  'audit.read': 26,
  'ca.create': 27,
  'session.kick': 28,
  'store.quarantine': 29,
  'audit.gap': 30,
  'log.failover': 31,
  'log.key_rotate': 40,
  'log.key_retire': 41,
  'payload.erase': 35,
  'witness.refuse': 43,
  'log.retention': 46,
}
