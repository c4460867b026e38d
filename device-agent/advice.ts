import type { CodedError } from '#protocol'
import { AgentError } from './errors.js'

/** What is to be done on this device, or asked of its operator, about an answer that waiting alone may not change. */
export function adviceOn(error: CodedError): string | undefined {
  const code = error instanceof AgentError ? (error.refusal?.code ?? error.code) : error.code
  return Object.hasOwn(advice, code) ? advice[code] : undefined
}

const lockedOrCopied =
  'ask the operator: the device is locked, or two copies of its identity were seen ("touchmark devices show" says which); ' +
  'when that is cleared, "touchmark-agent enroll --again" makes a new identity'

const advice: Readonly<Record<string, string>> = {
  DEVICE_REVOKED: 'the device is revoked for good: stop the agent, and ask the operator',
  SUPERSEDED:
    'a newer certificate of this device is in use: if this folder is a copy, remove it; if not, join again with ' +
    '"touchmark-agent enroll --again"',
  RENEWAL_REFUSED: lockedOrCopied,
  CLONE_SUSPECTED: lockedOrCopied,
  LOCKED: lockedOrCopied,
  CERTIFICATE_EXPIRED:
    'the device was away for longer than the service waits: join again with "touchmark-agent enroll --again"',
  NOT_RENEWABLE:
    'a simulated device is not renewed: begin a new run with "touchmark-agent join-oidc", an empty folder and a new token',
  KEY_NOT_CERTIFIED: 'join again with "touchmark-agent enroll --again"',
  TPM_HISTORY_BROKEN: 'the TPM was cleared, restored or copied: join again with "touchmark-agent enroll --again"',
  AK_MISMATCH: 'this is another TPM than the one that joined: join again with "touchmark-agent enroll --again"',
  TOKEN_SPENT: 'the token was used already: get a new one from the operator',
  TOKEN_EXPIRED: 'the token is too old: get a new one from the operator',
  TOKEN_REVOKED: 'the token was withdrawn: get a new one from the operator',
  TOKEN_REFUSED: 'the token is not known: check that it is whole, or get a new one from the operator',
  JOIN_REFUSED: 'ask the operator: the device is not registered, locked or revoked, or belongs to another profile',
  CERTIFICATE_REFUSED: 'ask the operator whether the device is locked or revoked, and check the clock of this device',
  BROKER_REFUSED: 'ask the operator whether the device is locked or revoked',
  SERVER_UNTRUSTED: 'compare the join URI with the one that the operator gives',
  SERVER_EXPIRED: 'check the clock of this device, then that of the service',
}
