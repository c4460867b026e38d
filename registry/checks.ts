import {
  type Anchor,
  type DeviceId,
  type Fingerprint,
  isName,
  type Labels,
  type OperatorFacts,
  type ProfileName,
  type RevocationReason,
  type TokenId,
} from '#protocol'
import { RegistryError } from './errors.js'
import { anchorKey, type RegistryState, type TokenBinding } from './state.js'
import { problemOfBinding } from './token-binding.js'

/** A join token as its operator wants it; the secret itself never comes here. */
export interface NewToken extends TokenBinding {
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

const limits = {
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
  const problem = problemOfBinding(token)
  if (problem !== undefined) throw invalidToken(problem)
  if (token.device !== undefined && state.devices.get(token.device)?.state === 'revoked') {
    throw new RegistryError('DEVICE_REVOKED', `device ${token.device} was revoked`)
  }
}

/** @throws RegistryError ID_TAKEN, ANCHOR_TAKEN, LABEL_INVALID */
export function checkNewDevice(state: RegistryState, { device, labels, anchor }: NewDevice): void {
  checkLabels(labels)
  if (state.devices.has(device)) throw new RegistryError('ID_TAKEN', `device ${device} exists`)
  const owner = state.anchors.get(anchorKey(anchor))?.device
  // Which one is not for everybody who may register devices.
  if (owner !== undefined)
    throw new RegistryError('ANCHOR_TAKEN', `this ${anchor.kind} belongs to a device that exists`)
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
