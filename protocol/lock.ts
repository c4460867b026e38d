import type { Brand } from './brand.js'
import { ProtocolError } from './errors.js'
import type { Labels } from './identity.js'
import {
  type DeviceId,
  type Fingerprint,
  type InstanceId,
  type KeyIdentifier,
  parseDeviceId,
  parseFingerprint,
  parseInstanceId,
  parseKeyIdentifier,
  parseName,
  parseProfileName,
  parseTokenId,
  type ProfileName,
  type TokenId,
} from './ids.js'

/** Names one lock, also after it has ended. */
export type LockId = Brand<string, 'LockId'>

/** @throws ProtocolError INVALID_ID */
export function parseLockId(text: string): LockId {
  return parseName(text, 'a lock id') as LockId
}

/**
 * `lock` ends and keeps out until it is removed; `quarantine` leaves whom it is on connected, with the one role that the
 * policy in force names for it; `revoke` locks, and also revokes for good whatever it hits when it is made.
 */
export const lockModes = ['lock', 'quarantine', 'revoke'] as const
export type LockMode = (typeof lockModes)[number]

/** What a lock is on: one of these, by what the operator or verified evidence says and never by what a device reports. */
export type LockTarget =
  | { readonly device: DeviceId }
  /** One enrollment of a device. */
  | { readonly instance: InstanceId }
  /** SHA-256 of an EK's SubjectPublicKeyInfo: whatever device that TPM is. */
  | { readonly ek: Fingerprint }
  /** Every device that has all of these labels, now or later. */
  | { readonly labels: Labels }
  /** Every device to which the policy in force binds this role, under whatever conditions. */
  | { readonly role: string }
  | { readonly profile: ProfileName }
  /** Every device that joined with this token, and who would. */
  | { readonly token: TokenId }
  /** Every certificate that this key of a CA has signed, and would: an authority key identifier. */
  | { readonly issuer: KeyIdentifier }
  /** Whoever connects from there: `192.0.2.0/24`, `2001:db8::/32`, or one address. */
  | { readonly addresses: string }

/** As in the log: longer text would be shortened there, and a lock has to be read back from it. */
const maxLength = 1000

/** `device:pump-7`, `labels:line=4,site=oslo`: the target as one text, the same for the same target. */
export function formatLockTarget(target: LockTarget): string {
  if ('labels' in target) {
    const pairs = Object.entries(target.labels).map(([name, value]) => `${name}=${value}`)
    return `labels:${pairs.toSorted().join(',')}`
  }
  const [[kind, value] = ['', '']] = Object.entries(target)
  return `${kind}:${String(value)}`
}

/** @throws ProtocolError INVALID_MESSAGE, INVALID_ID */
export function parseLockTarget(text: string): LockTarget {
  if (text.length > maxLength) throw invalid(`a lock's target has at most ${maxLength} characters`)
  const [, kind = '', value = ''] = /^([a-z]+):(.*)$/s.exec(text) ?? []
  switch (kind) {
    case 'device':
      return { device: parseDeviceId(value) }
    case 'instance':
      return { instance: parseInstanceId(value) }
    case 'ek':
      return { ek: parseFingerprint(value) }
    case 'labels':
      return { labels: parseSelector(value) }
    case 'role':
      return { role: parseName(value, 'a role') }
    case 'profile':
      return { profile: parseProfileName(value) }
    case 'token':
      return { token: parseTokenId(value) }
    case 'issuer':
      return { issuer: parseKeyIdentifier(value) }
    case 'addresses':
      return { addresses: parseRange(value) }
    default:
      throw invalid(
        'expected KIND:VALUE, where KIND is device, instance, ek, labels, role, profile, token, issuer or addresses',
      )
  }
}

/** A selector without a label would match every device. */
function parseSelector(text: string): Labels {
  const labels: Record<string, string> = {}
  for (const pair of text.split(',')) {
    const [name = '', value = '', ...rest] = pair.split('=')
    if (rest.length > 0) throw invalid('expected NAME=VALUE, separated by commas')
    labels[parseName(name, 'a label')] = parseName(value, "a label's value")
  }
  return labels
}

/** Only its form: who compiles it knows addresses. */
function parseRange(text: string): string {
  if (/^[0-9A-Fa-f:.]{2,45}(\/\d{1,3})?$/.test(text)) return text.toLowerCase()
  throw invalid('expected an address, or a network such as 192.0.2.0/24 or 2001:db8::/32')
}

function invalid(problem: string): ProtocolError {
  return new ProtocolError('INVALID_MESSAGE', problem)
}
