import { CodedError } from '#protocol'
import { AgentError, type AgentErrorCode, type Refusal } from './errors.js'

/** What the shell sees; the same numbers as every Touchmark command. */
const exitCodes = {
  error: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  conflict: 5,
  unreachable: 6,
  checkFailed: 8,
  waiting: 9,
} as const

export const usageExitCode = exitCodes.usage

type Outcome = keyof typeof exitCodes

const outcomes: Readonly<Record<Exclude<AgentErrorCode, 'REFUSED'>, Outcome>> = {
  USAGE: 'usage',
  NOT_ENROLLED: 'notFound',
  ALREADY_ENROLLED: 'conflict',
  SETTINGS_INVALID: 'usage',
  SETTINGS_UNSAFE: 'usage',
  SOURCES_DISAGREE: 'usage',
  STATE_FAILED: 'error',
  STATE_INVALID: 'error',
  STATE_LOCKED: 'conflict',
  UNREACHABLE: 'unreachable',
  TIMED_OUT: 'unreachable',
  SERVER_UNTRUSTED: 'error',
  SERVER_EXPIRED: 'error',
  CERTIFICATE_REFUSED: 'denied',
  CONNECTION_LOST: 'unreachable',
  ANSWER_INVALID: 'error',
  ANSWER_TOO_LARGE: 'error',
  BROKER_REFUSED: 'denied',
  SESSION_ENDED: 'denied',
  BINDING_UNAVAILABLE: 'error',
  KEY_UNAVAILABLE: 'error',
  QUEUE_FULL: 'error',
  BRIDGE_FAILED: 'error',
  HOOK_FAILED: 'error',
  OUTPUT_FAILED: 'error',
  CHECK_FAILED: 'checkFailed',
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof AgentError) return exitCodes[outcomeOf(error)]
  if (error instanceof CodedError && (error.code === 'INVALID_JOIN_URI' || error.code === 'INVALID_TOPIC')) {
    return exitCodes.usage
  }
  return exitCodes.error
}

function outcomeOf(error: AgentError): Outcome {
  if (error.code !== 'REFUSED') return outcomes[error.code]
  return error.refusal === undefined ? 'error' : outcomeOfRefusal(error.refusal)
}

function outcomeOfRefusal({ status }: Refusal): Outcome {
  if (status === 202) return 'waiting'
  if (status === 401 || status === 403) return 'denied'
  if (status === 404) return 'notFound'
  if (status === 409) return 'conflict'
  if (status === 429 || status >= 500) return 'unreachable'
  return 'error'
}
