import { Progress } from './appending/progress.js'
import { AuditError } from './errors.js'
import { coveredWithinMs } from './limits.js'
import { proveRecord } from './proof/prove.js'
import { parseCheckpoint, verifierKeyOf, verifyCheckpoint } from './tree/checkpoint.js'
import { keysOf, type SigningKeys } from './tree/signing-keys.js'

export interface CheckpointsOptions extends SigningKeys {
  readonly directory: string
  readonly origin: string
}

/** What others check an open log by: the newest checkpoint, the keys that sign it, and proofs that lead to it. */
export class Checkpoints {
  readonly #directory: string
  readonly #origin: string
  /** By checkpoints since the log was opened. */
  readonly #covered = new Progress(-1)
  #newest: string
  #verifierKeys: readonly string[]

  constructor({ directory, origin, ...keys }: CheckpointsOptions, newest: string) {
    this.#directory = directory
    this.#origin = origin
    this.#newest = newest
    this.#verifierKeys = verifierKeysOf(origin, keys)
  }

  get newest(): string {
    return this.#newest
  }

  get verifierKeys(): readonly string[] {
    return this.#verifierKeys
  }

  goBy(keys: SigningKeys): void {
    this.#verifierKeys = verifierKeysOf(this.#origin, keys)
  }

  /** The log was opened again, and this is what it begins with. */
  reopen(note: string): void {
    this.#newest = note
  }

  advance(note: string): void {
    this.#newest = note
    this.#covered.advance(parseCheckpoint(note).size - 1)
  }

  /** Whether the newest one carries the signature of a key. */
  isSignedBy(verifierKey: string): boolean {
    try {
      verifyCheckpoint(this.#newest, verifierKey)
      return true
    } catch {
      return false
    }
  }

  /**
   * A C2SP tlog-proof that the log holds a record. For one that is appended and not covered yet it waits for the next
   * checkpoint. `problem` tells what keeps that from coming, should it not.
   * @throws AuditError RECORD_UNKNOWN, RECORD_UNCOVERED: no checkpoint came, AUDIT_GONE, AUDIT_CORRUPT
   */
  async prove(sequence: number, isAppended: boolean, problem: () => string | undefined): Promise<string> {
    if (isAppended) await this.cover(sequence, problem)
    return await proveRecord(this.#directory, sequence)
  }

  /** Resolves when a checkpoint covers a record that is appended. @throws AuditError RECORD_UNCOVERED, see {@link prove} */
  async cover(sequence: number, problem: () => string | undefined): Promise<void> {
    if (sequence < parseCheckpoint(this.#newest).size) return
    if (await this.#covered.reaches(sequence, coveredWithinMs)) return
    const why = problem() ?? 'none came in time'
    throw new AuditError('RECORD_UNCOVERED', `record ${sequence} waits for a checkpoint (${why}); try again later`)
  }
}

function verifierKeysOf(origin: string, keys: SigningKeys): readonly string[] {
  return keysOf(keys).map((key) => verifierKeyOf(origin, key))
}
