import type { Enforcement } from '#protocol'
import { CliError } from '../errors.js'

/** What came of an act that keeps somebody out, as rows. */
export function enforcementRows({ sessions, purged, recorded }: Enforcement) {
  return [
    ['connections ended', String(sessions)],
    ['messages removed', String(purged)],
    ['recorded', recorded ? 'yes' : 'not yet'],
  ] as const
}

/** `what`: such as `the lock`. @throws CliError PARTLY_DONE where it does not act everywhere, or is not on record */
export function requireDone(answer: Enforcement, what: string): void {
  const { outstanding } = answer
  if (outstanding.length === 0) return requireRecorded(answer, what)
  throw new CliError('PARTLY_DONE', `${what} does not act everywhere yet: ${outstanding.join(', ')}`)
}

/** @throws CliError PARTLY_DONE */
export function requireRecorded({ recorded }: Pick<Enforcement, 'recorded'>, what: string): void {
  if (recorded) return
  throw new CliError('PARTLY_DONE', `${what} acts, but the audit log could not record it: see "touchmark status"`)
}
