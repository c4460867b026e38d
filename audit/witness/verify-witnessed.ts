import { readFile } from 'node:fs/promises'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { parseCheckpoint } from '../tree/checkpoint.js'
import { parseNote } from '../tree/note.js'
import { parseWitnessKey, verifyCosignature } from './cosignature.js'
import { readWitnessedBy, requireContained } from './witnessed.js'

/** What a witness has to say for a log. */
export interface Attested {
  /** Of the witness, as its verifier key has it. */
  readonly name: string
  /** The records that it vouches for, and when it did, in milliseconds since 1970. */
  readonly cosigned?: { readonly size: number; readonly at: number }
  /** Why it does not vouch for this log. */
  readonly problem?: string
}

/**
 * Looks up in a log's folder what each witness has cosigned, and that the log begins with it. That the log holds together
 * is for `verifyLog` to say.
 * @throws AuditError AUDIT_INVALID for a text that is no key of a witness
 */
export async function verifyWitnessed(directory: string, witnessKeys: readonly string[]): Promise<readonly Attested[]> {
  const keys = witnessKeys.map(parseWitnessKey)
  return await Promise.all(
    keys.map(async (key) => {
      try {
        const note = await readWitnessedBy(directory, key)
        if (note === undefined) return { name: key.name, problem: 'it has cosigned nothing that is kept with this log' }
        const { text, signatures } = parseNote(note)
        const at = verifyCosignature(text, signatures, key)
        if (at === undefined) return { name: key.name, problem: 'what is kept of it is not cosigned with this key' }
        const head = parseCheckpoint(note)
        const { origin } = parseCheckpoint(await readFile(layout.checkpoint(directory), 'utf8'))
        if (head.origin !== origin)
          return { name: key.name, problem: `it has cosigned ${head.origin}, which is another log` }
        await requireContained(directory, head, `the witness ${key.name}`)
        return { name: key.name, cosigned: { size: head.size, at } }
      } catch (error) {
        if (!(error instanceof AuditError)) throw error
        return { name: key.name, problem: error.message }
      }
    }),
  )
}
