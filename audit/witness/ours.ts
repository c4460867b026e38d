import { AuditError } from '../errors.js'
import { type TreeHead, verifyCheckpoint } from '../tree/checkpoint.js'

/** Whose checkpoints are given away, and held against what comes back. */
export interface LogIdentity {
  readonly directory: string
  readonly origin: string
  /** Of the log; a checkpoint is the log's if one of them verifies it. */
  readonly verifierKeys: readonly string[]
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** A checkpoint of this log that was kept by somebody else. @throws AuditError AUDIT_UNREACHABLE for what it has not signed */
export function verifyOurs(note: string, { verifierKeys }: LogIdentity, otherwise: string): TreeHead {
  for (const key of verifierKeys) {
    try {
      return verifyCheckpoint(note, key)
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
    }
  }
  throw new AuditError('AUDIT_UNREACHABLE', otherwise)
}
