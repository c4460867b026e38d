import { BackupError } from '#backup'
import { CodedError } from '#protocol'
import { CliError, type CliErrorCode, ServerRefusal } from './errors.js'

/** What a script can tell from the exit code; these never change their meaning. */
export const exitCodes = {
  ok: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  conflict: 5,
  unreachable: 6,
  partlyDone: 7,
  checkFailed: 8,
  interrupted: 130, // 128 and the number of SIGINT, as shells have it
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

const ofCode: Readonly<Record<CliErrorCode, ExitCode>> = {
  USAGE: exitCodes.usage,
  NO_CREDENTIAL: exitCodes.error,
  BAD_CREDENTIAL: exitCodes.error,
  UNREACHABLE: exitCodes.unreachable,
  SERVER_NOT_TRUSTED: exitCodes.unreachable,
  BAD_ANSWER: exitCodes.error,
  CANNOT_READ: exitCodes.error,
  CSV_INVALID: exitCodes.usage,
  CANNOT_WRITE: exitCodes.error,
  NOT_FOUND: exitCodes.notFound,
  INTERRUPTED: exitCodes.interrupted,
  DENIED: exitCodes.denied,
  PARTLY_DONE: exitCodes.partlyDone,
  PAYLOAD_MISSING: exitCodes.notFound,
  BROKER_REFUSED: exitCodes.denied,
  CONNECTION_LOST: exitCodes.unreachable,
  OWN_BROKER: exitCodes.usage,
  CHECK_FAILED: exitCodes.checkFailed,
}

const ofStatus: ReadonlyMap<number, ExitCode> = new Map([
  [400, exitCodes.usage],
  [401, exitCodes.denied],
  [403, exitCodes.denied],
  [404, exitCodes.notFound],
  [409, exitCodes.conflict],
  [410, exitCodes.conflict],
  [503, exitCodes.unreachable],
])

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliError) return ofCode[error.code]
  if (error instanceof ServerRefusal) return ofStatus.get(error.status) ?? exitCodes.error
  if (error instanceof CodedError && error.code === 'RECORD_UNKNOWN') return exitCodes.notFound
  if (error instanceof CodedError && error.code === 'AUDIT_GONE') return exitCodes.conflict
  if (error instanceof BackupError) return exitCodes.checkFailed
  if (error instanceof CodedError && isMistake(error.code)) return exitCodes.usage
  return exitCodes.error
}

/** Of what was given, and found without asking the server. */
function isMistake(code: string): boolean {
  return code.startsWith('INVALID_') || code === 'QUERY_INVALID'
}
