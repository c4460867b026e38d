import {
  type Anchor,
  type DeviceId,
  type Fingerprint,
  formatLockTarget,
  isName,
  type Labels,
  type LockId,
  type LockMode,
  type LockTarget,
  type OperatorFacts,
  parseLockTarget,
  type ProfileName,
  type RevocationReason,
  type TokenId,
} from '#protocol'
import { RegistryError } from './errors.js'
import { holdsAddress } from './locks/address-range.js'
import { anchorKey, type RegistryState } from './state.js'

/** A join token as its operator wants it; the secret itself never comes here. */
export interface NewToken {
  readonly token: TokenId
  /** SHA-256 of the secret. */
  readonly secretHash: Fingerprint
  readonly profile: ProfileName
  /** The only device that it can make. */
  readonly device?: DeviceId
  readonly labels: Labels
  readonly uses: number
  /** Milliseconds since 1970; at most 7 days ahead. */
  readonly notAfter: number
}

/** A device whose hardware is known before it arrives. */
export interface NewDevice {
  readonly device: DeviceId
  readonly profile: ProfileName
  readonly labels: Labels
  readonly anchor: Anchor
}

export interface RevokeOrder extends OperatorFacts {
  readonly reason: RevocationReason
}

/** A lock as its operator wants it. */
export interface LockOrder {
  readonly lock: LockId
  readonly target: LockTarget
  readonly mode: LockMode
  /** Milliseconds since 1970; without it, until it is removed. */
  readonly notAfter?: number
  readonly reason: string
}

/** Those on labels, roles and addresses have to be tried on every device, one by one. */
const limits = {
  locks: 10_000,
  triedLocks: 256,
  labels: 32,
  tokenUses: 100_000,
  tokenLifeMs: 7 * 24 * 3600 * 1000,
} as const

/** @throws RegistryError TOKEN_INVALID, LABEL_INVALID, DEVICE_REVOKED */
export function checkNewToken(state: RegistryState, token: NewToken, now: number): void {
  checkLabels(token.labels)
  if (state.tokens.has(token.token)) throw invalidToken('its id is taken')
  if (!Number.isInteger(token.uses) || token.uses < 1 || token.uses > limits.tokenUses) {
    throw invalidToken(`it allows from 1 to ${limits.tokenUses} uses`)
  }
  if (!(token.notAfter > now && token.notAfter <= now + limits.tokenLifeMs)) {
    throw invalidToken('it ends in the future and within 7 days')
  }
  if (token.device !== undefined && state.devices.get(token.device)?.state === 'revoked') {
    throw new RegistryError('DEVICE_REVOKED', `device ${token.device} was revoked`)
  }
}

/** @throws RegistryError ID_TAKEN, ANCHOR_TAKEN, LABEL_INVALID */
export function checkNewDevice(state: RegistryState, { device, labels, anchor }: NewDevice): void {
  checkLabels(labels)
  if (state.devices.has(device)) throw new RegistryError('ID_TAKEN', `device ${device} exists`)
  const owner = state.anchors.get(anchorKey(anchor))?.device
  if (owner !== undefined) throw new RegistryError('ANCHOR_TAKEN', `this ${anchor.kind} belongs to device ${owner}`)
}

/** @throws RegistryError LOCK_INVALID; ProtocolError INVALID_MESSAGE, INVALID_ID */
export function checkLockTarget(target: LockTarget, mode: LockMode): void {
  parseLockTarget(formatLockTarget(target)) // so that it can be read back from the log
  if (!('addresses' in target)) return
  holdsAddress(target.addresses)
  if (mode === 'revoke') {
    throw new RegistryError(
      'LOCK_INVALID',
      'an address says where a device is and not which: lock it, or revoke by another target',
    )
  }
}

/** @throws RegistryError LOCK_INVALID */
export function checkNewLock(state: RegistryState, { lock, target, mode, notAfter }: LockOrder, now: number): void {
  checkLockTarget(target, mode)
  if (state.locks.has(lock)) throw new RegistryError('LOCK_INVALID', `lock ${lock} exists`)
  if (state.locks.size >= limits.locks) throw new RegistryError('LOCK_INVALID', `at most ${limits.locks} locks`)
  const isTried = (on: LockTarget) => 'labels' in on || 'role' in on || 'addresses' in on
  const tried = isTried(target) ? state.locks.values().filter((known) => isTried(known.target)).length : 0
  if (tried >= limits.triedLocks) {
    throw new RegistryError('LOCK_INVALID', `at most ${limits.triedLocks} locks on labels, roles and addresses`)
  }
  if (notAfter !== undefined && notAfter <= now) throw new RegistryError('LOCK_INVALID', 'it ends in the future')
}

/** Names and values each fit one topic level, so that a policy can put them into topics. @throws RegistryError LABEL_INVALID */
export function checkLabels(labels: Labels): void {
  const entries = Object.entries(labels)
  if (entries.length > limits.labels) throw new RegistryError('LABEL_INVALID', `at most ${limits.labels} labels`)
  const wrong = entries.find(([name, value]) => !isName(name) || !isName(value))
  if (wrong !== undefined) {
    const [name] = wrong
    throw new RegistryError(
      'LABEL_INVALID',
      `label ${JSON.stringify(name.slice(0, 64))}: name and value are 1 to 64 of A-Z a-z 0-9 . _ -, not "." or ".."`,
    )
  }
}

function invalidToken(problem: string): RegistryError {
  return new RegistryError('TOKEN_INVALID', `not a token: ${problem}`)
}
