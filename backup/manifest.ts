import {
  CodedError,
  decodeJson,
  type Fingerprint,
  integer,
  object,
  parsed,
  parseFingerprint,
  parseTrustDomain,
  text,
  type TrustDomain,
} from '#protocol'
import { BackupError } from './errors.js'

/** What a backup says of itself, before all else. */
export interface Manifest {
  /** Of what stands in it. This release writes and reads 1. */
  readonly format: number
  /** Of the program that wrote it. */
  readonly version: string
  readonly trustDomain: TrustDomain
  /** SHA-256 of the root CA's key: by it devices know the service. */
  readonly rootSpki: Fingerprint
  /** How often it had changed whom the service keeps out. */
  readonly epoch: number
  /** How many records the audit log in it has, and the signed note (C2SP tlog-checkpoint) that covers them. */
  readonly treeSize: number
  readonly checkpoint: string
  /** Milliseconds since 1970. */
  readonly at: number
}

export const formatVersion = 1

const decode = object({
  format: integer(0, Number.MAX_SAFE_INTEGER),
  version: text(64),
  trustDomain: parsed(parseTrustDomain),
  rootSpki: parsed(parseFingerprint),
  epoch: integer(0, Number.MAX_SAFE_INTEGER),
  treeSize: integer(0, Number.MAX_SAFE_INTEGER),
  checkpoint: text(64 * 1024),
  at: integer(0, 8 ** 11 * 1000),
})

/** For people too. */
export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`)
}

/** @throws BackupError BACKUP_INVALID */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const json = new TextDecoder().decode(bytes)
  requireFormat(json)
  try {
    return decodeJson(json, decode, 'backup.json')
  } catch (cause) {
    if (!(cause instanceof CodedError)) throw cause
    throw new BackupError('BACKUP_INVALID', cause.message, { cause })
  }
}

/** Before anything else is asked of it: a later format may say anything. */
function requireFormat(json: string): void {
  const [, format] = /^\{\s*"format": ?([0-9]{1,15}),/.exec(json) ?? []
  if (format === undefined) throw new BackupError('BACKUP_INVALID', 'backup.json does not say what format it has')
  if (Number(format) === formatVersion) return
  const problem = `expected a backup of format ${formatVersion}, got ${format}: take the release that wrote it`
  throw new BackupError('BACKUP_INVALID', problem)
}
