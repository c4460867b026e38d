import {
  boolean,
  bytes,
  type CertificateOfOperator,
  cloneSigns,
  type Decoder,
  decodeJson,
  encodeJson,
  formatLockTarget,
  integer,
  list,
  lockModes,
  object,
  optional,
  parseCertificateSerial,
  parsed,
  parseDeviceId,
  parseFingerprint,
  parseInstanceId,
  parseKeyIdentifier,
  parseLockId,
  parseLockTarget,
  parseOperatorName,
  parseProfileName,
  parseRunName,
  parseTokenId,
  pcrOutcomes,
  pcrPolicyModes,
  record,
  revocationReasons,
  text,
  tiers,
  word,
} from '#protocol'
import type { Changes } from '#store'
import { RegistryError } from './errors.js'
import type { JobToken, Run } from './runs/run.js'
import {
  anchorKey,
  type Attestation,
  type CertificateRecord,
  type Device,
  type Instance,
  type Invitation,
  type Lock,
  type OwnedAnchor,
  type RegistryState,
  type Token,
} from './state.js'
import type { Table } from './table.js'

/*
 * How the registry stands in the store: one JSON value per row below `registry/<table>/`, and `registry/applied` with
 * the sequence number of the last event that the rows hold. Bytes are base64url, as everywhere in our JSON.
 */

export const prefix = 'registry/'
export const appliedKey = 'registry/applied'

/** How far the stored rows have come. */
export interface Applied {
  readonly sequence: number
  readonly epoch: number
}

/** Stored rows by key; `undefined` is a row to delete. */
export type Rows = ReadonlyMap<string, Uint8Array | undefined>

/** The rows that changed since the last call, encoded. */
export function takeChangedRows(state: RegistryState): Rows {
  const rows = new Map<string, Uint8Array | undefined>()
  const take = <Key extends string, Row extends object>(
    name: string,
    table: Table<Key, Row>,
    plain: (row: Row) => object = (row) => row,
  ): void => {
    for (const [key, row] of table.takeChanges()) {
      rows.set(`${prefix}${name}/${key}`, row === undefined ? undefined : encodeRow(plain(row)))
    }
  }
  take('device', state.devices)
  take('instance', state.instances)
  take('certificate', state.certificates)
  take('token', state.tokens)
  take('anchor', state.anchors)
  take('operator', state.operators)
  take('invitation', state.invitations)
  take('attestation', state.attestations)
  take('run', state.runs)
  take('job-token', state.jobTokens)
  take('lock', state.locks, (lock) => ({ ...lock, target: formatLockTarget(lock.target) }))
  return rows
}

/** One commit: the rows, and how far they bring the store. */
export function changesOf(rows: Rows, applied: Applied): Changes {
  const puts: [key: string, value: Uint8Array][] = [[appliedKey, encodeRow(applied)]]
  const deletes: string[] = []
  for (const [key, row] of rows) {
    if (row === undefined) deletes.push(key)
    else puts.push([key, row])
  }
  return { puts, deletes }
}

/** Puts one stored row back where it was. @throws RegistryError REGISTRY_CORRUPT when it is not what was written */
export function restoreRow(state: RegistryState, key: string, value: Uint8Array): void {
  const restore = restorers.get(key.split('/')[1] ?? '')
  if (restore === undefined) {
    throw new RegistryError('REGISTRY_CORRUPT', `${key}: no such table; was this folder written by a newer version?`)
  }
  restore(state, key, value)
}

export function decodeApplied(value: Uint8Array): Applied {
  return decodeRow(appliedKey, value, object({ sequence: integer(-1, Number.MAX_SAFE_INTEGER), epoch: count }))
}

function encodeRow(row: object): Uint8Array {
  return new TextEncoder().encode(encodeJson(row))
}

function decodeRow<Row>(key: string, value: Uint8Array, decoder: Decoder<Row>): Row {
  try {
    return decodeJson(new TextDecoder().decode(value), decoder, key)
  } catch (cause) {
    throw new RegistryError('REGISTRY_CORRUPT', `the stored row ${key} cannot be read`, { cause })
  }
}

const count = integer(0, Number.MAX_SAFE_INTEGER)
const time = integer(-8.64e15, 8.64e15)
const fingerprint = parsed(parseFingerprint)
const labels = record(text(64), 64)
const tpm = object({
  akName: bytes(128),
  resetCount: count,
  restartCount: count,
  clock: count,
  safe: boolean,
  firmware: text(1024),
  at: optional(time),
})
const anchor = object({ kind: word('ek', 'idevid', 'token', 'oidc'), hash: fingerprint })

const decodeOwnedAnchor: Decoder<OwnedAnchor> = object({
  kind: word('ek', 'idevid', 'token', 'oidc'),
  hash: fingerprint,
  device: parsed(parseDeviceId),
  tpm: optional(tpm),
})

const deviceFacts = {
  id: parsed(parseDeviceId),
  profile: parsed(parseProfileName),
  labels,
  anchors: list(anchor, 100_000),
  instances: list(parsed(parseInstanceId), 1000),
}
const livingDevice = object({ ...deviceFacts, state: word('registered', 'active') })
const revokedDevice = object({
  ...deviceFacts,
  state: word('revoked'),
  revocation: object({
    at: time,
    reason: word(...revocationReasons),
    by: parsed(parseOperatorName),
    comment: optional(text(100_000)),
    epoch: count,
  }),
})
const decodeDevice: Decoder<Device> = (value, path) => {
  const isRevoked = typeof value === 'object' && value !== null && 'revocation' in value
  return isRevoked ? revokedDevice(value, path) : livingDevice(value, path)
}

const decodeInstance: Decoder<Instance> = object({
  id: parsed(parseInstanceId),
  device: parsed(parseDeviceId),
  profile: parsed(parseProfileName),
  anchor,
  binding: word('exporter', 'nonce', 'none'),
  token: optional(parsed(parseTokenId)),
  maker: optional(text(1024)),
  tpm: optional(tpm),
  reported: optional(record(text(1024), 64)),
  generation: count,
  pending: optional(fingerprint),
  current: optional(fingerprint),
  previous: optional(fingerprint),
  superseded: list(fingerprint, 1000),
  displaced: optional(object({ at: time, generation: count })),
  clone: optional(
    object({
      sign: word(...cloneSigns),
      lock: parsed(parseLockId),
      at: time,
      presentedSerial: parsed(parseCertificateSerial),
      peer: optional(text(1024)),
    }),
  ),
})

const decodeCertificate: Decoder<CertificateRecord> = object({
  fingerprint,
  serial: parsed(parseCertificateSerial),
  spkiHash: fingerprint,
  tier: word(...tiers),
  notBefore: time,
  notAfter: time,
  certificate: bytes(64 * 1024),
  issuer: optional(parsed(parseKeyIdentifier)),
  device: parsed(parseDeviceId),
  instance: parsed(parseInstanceId),
  state: word('pending', 'current', 'previous', 'superseded', 'revoked'),
  origin: word('join', 'renewal'),
  rotate: optional(boolean),
})

const decodeToken: Decoder<Token> = object({
  id: parsed(parseTokenId),
  secretHash: fingerprint,
  profile: parsed(parseProfileName),
  device: optional(parsed(parseDeviceId)),
  labels,
  uses: object({ allowed: count, spent: count }),
  notAfter: time,
  revoked: boolean,
  ekHash: optional(fingerprint),
  addresses: optional(list(text(64), 16)),
})

const decodeOperator: Decoder<CertificateOfOperator> = object({
  operator: parsed(parseOperatorName),
  fingerprint,
  serial: parsed(parseCertificateSerial),
  notBefore: time,
  notAfter: time,
  certificate: bytes(64 * 1024),
})

const decodeInvitation: Decoder<Invitation> = object({
  id: parsed(parseTokenId),
  secretHash: fingerprint,
  whom: parsed(parseOperatorName),
  ttlSeconds: count,
  notAfter: time,
  by: parsed(parseOperatorName),
})

const decodeAttestation: Decoder<Attestation> = object({
  device: parsed(parseDeviceId),
  instance: parsed(parseInstanceId),
  generation: count,
  at: time,
  policy: optional(object({ name: text(64), version: count, mode: word(...pcrPolicyModes) })),
  outcome: word(...pcrOutcomes),
  reasons: list(text(1024), 64),
  pcrs: record(bytes(64), 24),
  eventLog: optional(fingerprint),
})

const decodeRun: Decoder<Run> = object({
  id: parsed(parseRunName),
  anchorHash: fingerprint,
  batches: list(object({ keySet: fingerprint, profile: parsed(parseProfileName), count }), 100_000),
  notAfter: time,
})

const decodeJobToken: Decoder<JobToken> = object({
  id: fingerprint,
  keySet: fingerprint,
  run: parsed(parseRunName),
  notAfter: time,
})

const decodeLock: Decoder<Lock> = object({
  id: parsed(parseLockId),
  target: parsed(parseLockTarget),
  mode: word(...lockModes),
  reason: text(100_000),
  by: parsed(parseOperatorName),
  at: time,
  notAfter: optional(time),
  revision: count,
})

type Restorer = (state: RegistryState, key: string, value: Uint8Array) => void

const restorers: ReadonlyMap<string, Restorer> = new Map([
  ['device', restorer(decodeDevice, ({ devices }, row) => devices.restore(row.id, row))],
  ['instance', restorer(decodeInstance, ({ instances }, row) => instances.restore(row.id, row))],
  ['certificate', restorer(decodeCertificate, ({ certificates }, row) => certificates.restore(row.fingerprint, row))],
  ['token', restorer(decodeToken, ({ tokens }, row) => tokens.restore(row.id, row))],
  ['anchor', restorer(decodeOwnedAnchor, ({ anchors }, row) => anchors.restore(anchorKey(row), row))],
  ['operator', restorer(decodeOperator, ({ operators }, row) => operators.restore(row.fingerprint, row))],
  ['invitation', restorer(decodeInvitation, ({ invitations }, row) => invitations.restore(row.id, row))],
  ['attestation', restorer(decodeAttestation, ({ attestations }, row) => attestations.restore(row.device, row))],
  ['run', restorer(decodeRun, ({ runs }, row) => runs.restore(row.id, row))],
  ['job-token', restorer(decodeJobToken, ({ jobTokens }, row) => jobTokens.restore(row.id, row))],
  ['lock', restorer(decodeLock, ({ locks }, row) => locks.restore(row.id, row))],
])

function restorer<Row>(decoder: Decoder<Row>, restore: (state: RegistryState, row: Row) => void): Restorer {
  return (state, key, value) => restore(state, decodeRow(key, value, decoder))
}
