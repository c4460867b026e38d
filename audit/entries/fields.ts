import type { AuditEvent, AuditEventName } from '#protocol'
import type { FlagName } from './flags.js'

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

/** What a record's place in the log does not say, by its name. */
export type FieldName = Exclude<NameIn<AuditEvent>, 'event'>
/**
 * `session`: bytes on disk, hex elsewhere. `back`: a sequence number, on disk by how many records it lies before this one.
 * `flags`: with others in one integer, see flags.ts.
 */
export type FieldKind = 'text' | 'integer' | 'boolean' | 'bytes' | 'texts' | 'map' | 'session' | 'back' | 'flags'
type KindOfField<Name extends FieldName> = Name extends FlagName
  ? 'flags'
  : Name extends 'session'
    ? 'session'
    : Name extends 'origin'
      ? 'back'
      : KindOf<ValueIn<AuditEvent, Name>>

/** An entry is `[version, sequence, time, the event's number, { its fields by their keys }]`. */
export const entryParts = 5
export const entryVersion = 1

/** What `append` adds to an event. */
export interface Place {
  readonly sequence: number
  readonly time: number
}

/** Behind this one stand several fields. */
export const flagsKey = 9

/** Every property of every event, with its key and its kind; the compiler asks for the ones that are missing. */
export const fields: {
  readonly [Name in FieldName]: readonly [key: number, kind: KindOfField<Name>]
} = {
  device: [5, 'text'],
  session: [6, 'session'],
  sessionIndex: [7, 'integer'],
  topic: [8, 'text'],
  decision: [flagsKey, 'flags'],
  action: [flagsKey, 'flags'],
  qos: [flagsKey, 'flags'],
  retain: [flagsKey, 'flags'],
  dup: [flagsKey, 'flags'],
  rules: [10, 'texts'],
  policyVersion: [11, 'integer'],
  count: [12, 'integer'],
  serial: [13, 'text'],
  node: [14, 'text'],
  messageId: [16, 'integer'],
  size: [17, 'integer'],
  recipients: [18, 'integer'],
  publisher: [19, 'text'],
  origin: [20, 'back'],
  reason: [21, 'text'],
  peer: [22, 'text'],
  payloadCommitment: [23, 'bytes'],
  comment: [24, 'text'],
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
  day: [77, 'text'],
  problem: [80, 'text'],
  verifierKey: [85, 'text'],
  previousVerifierKey: [86, 'text'],
  witness: [90, 'text'],
  treeSize: [91, 'integer'],
  formerMinimumIndex: [95, 'integer'],
  minimumIndex: [96, 'integer'],
  lock: [97, 'text'],
  target: [98, 'text'],
  mode: [99, 'text'],
  revision: [100, 'integer'],
  devices: [101, 'integer'],
  sessions: [102, 'integer'],
  purged: [103, 'integer'],
  issuer: [119, 'text'],
  restores: [104, 'integer'],
  act: [114, 'text'],
  whom: [115, 'text'],
  invitation: [116, 'text'],
  revoked: [117, 'text'],
  ttlSeconds: [118, 'integer'],
  pcrPolicy: [140, 'text'],
  outcome: [141, 'text'],
  reasons: [142, 'texts'],
  pcrs: [143, 'map'],
  eventLog: [144, 'text'],
  run: [160, 'text'],
  issuerUrl: [161, 'text'],
  jobToken: [162, 'text'],
  keySet: [163, 'text'],
  tokenNotAfter: [164, 'integer'],
  displaces: [165, 'text'],
  sign: [166, 'text'],
  ekHash: [185, 'text'],
  addresses: [186, 'texts'],
  maker: [155, 'text'],
  hardwareSerial: [156, 'text'],
}

export interface Field {
  readonly name: FieldName
  readonly key: number
  readonly kind: FieldKind
}

const table: readonly Field[] = Object.keys(fields)
  .filter(isFieldName)
  .map((name) => ({ name, key: fields[name][0], kind: fields[name][1] }))

export const fieldByName: ReadonlyMap<string, Field> = new Map(table.map((field) => [field.name, field]))

export const fieldByKey: readonly (Field | undefined)[] = table.reduce<(Field | undefined)[]>((byKey, field) => {
  byKey[field.key] = field
  return byKey
}, [])

function isFieldName(name: string): name is FieldName {
  return Object.hasOwn(fields, name)
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
  'payload.erase': 35,
  'log.key_rotate': 40,
  'log.key_retire': 41,
  'witness.refuse': 43,
  'log.retention': 46,
  'lock.add': 50,
  'lock.remove': 51,
  'lock.expire': 52,
  'lock.applied': 53,
  'device.quarantine': 54,
  'device.release': 55,
  'device.rotate': 56,
  'operator.invite': 70,
  'operator.revoke': 71,
  'device.attest': 90,
  'pcr_policy.apply': 91,
  'pcr_policy.remove': 92,
  'services.discover': 100,
  'join.oidc': 110,
  'run.forget': 111,
  'device.clone': 115,
  'device.report': 120,
  'backup.take': 130,
  'service.restore': 131,
  'join.pending': 105,
  'join.approve': 106,
  'join.deny': 107,
}
