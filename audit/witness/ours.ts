import { AuditError } from '../errors.js'
import { type TreeHead, verifyCheckpoint } from '../tree/checkpoint.js'
import { parseNote } from '../tree/note.js'

/** Whose checkpoints are given away, and held against what comes back. */
export interface LogIdentity {
  readonly directory: string
  readonly origin: string
  /** All that it ever had; a checkpoint is the log's if one of them verifies it. */
  readonly verifierKeys: readonly string[]
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/**
 * A checkpoint of this log that was kept by somebody else.
 * @throws AuditError AUDIT_UNREACHABLE for what it has not signed; AUDIT_ROLLED_BACK for what is signed in its name with
 * a key that it has never had, where whoever shows it `vouches` for that: it was put back to before a change of its key
 */
export function verifyOurs(
  note: string,
  { verifierKeys, origin }: LogIdentity,
  otherwise: string,
  vouches: (note: string) => boolean = () => true,
): TreeHead {
  for (const key of verifierKeys) {
    try {
      return verifyCheckpoint(note, key)
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
    }
  }
  const keyId = foreignKeyIn(note, origin)
  if (keyId === undefined || !vouches(note)) throw new AuditError('AUDIT_UNREACHABLE', otherwise)
  const problem = `it holds a checkpoint that ${origin} has signed with the key ${keyId}, which the log here does not know`
  const advice = 'the log was put back to before its key changed, or somebody else signs in its name'
  throw new AuditError('AUDIT_ROLLED_BACK', `${problem}: ${advice}`)
}

/** By which key a checkpoint of this origin says that it is signed. */
function foreignKeyIn(note: string, origin: string): string | undefined {
  try {
    const { text, signatures } = parseNote(note)
    const own = text.startsWith(`${origin}\n`) ? signatures.find(({ name }) => name === origin) : undefined
    return own?.keyId.toString('hex')
  } catch {
    return undefined
  }
}
