import { AuditError } from '../errors.js'

/** What is wrong with an entry, to be thrown. */
export function invalidEntry(problem: string, options?: ErrorOptions): AuditError {
  return new AuditError('AUDIT_INVALID', `entry: ${problem}`, options)
}
