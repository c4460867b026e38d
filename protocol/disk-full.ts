/**
 * Whether an error, or what caused it, says that the disk is full, or the share of it that this user may have: by the
 * system's code or by one of ours.
 */
export function isDiskFull(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  return ('code' in error && saysFull.has(error.code)) || isDiskFull(error.cause)
}

const saysFull: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'STORE_FULL', 'AUDIT_FULL'])
