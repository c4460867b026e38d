import { createHash, type KeyObject } from 'node:crypto'
import type { Store } from '#store'
import { AuditError } from '../errors.js'
import { isConsistent, type SizedRoot } from '../proof/consistency.js'
import { parseCheckpoint, parseVerifierKey, type TreeHead, verifyCheckpoint } from '../tree/checkpoint.js'
import { Frontier } from '../tree/merkle.js'
import { withOnlySignaturesOf } from '../tree/note.js'
import { cosign, witnessKeyOf } from './cosignature.js'
import { parseSubmission, type Submission } from './submission.js'

export interface WitnessOptions {
  /** Names the witness in its cosignatures; without white space and `+`. */
  readonly name: string
  /** Ed25519 private key, used for nothing else: what it signs does not name it. */
  readonly signingKey: KeyObject
  /** Verifier keys of the logs that it answers for; of one whose key changes, the old and the new. */
  readonly logs: readonly string[]
  /** Has its state, which nobody else may write: a witness that forgets can be led into a fork. */
  readonly store: Store
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Told of every checkpoint that a log has signed and that is not cosigned, with the one that was before. */
  readonly onRefusal?: (refusal: WitnessRefusal) => void
}

export interface WitnessRefusal {
  readonly origin: string
  readonly status: number
  readonly why: string
  readonly submitted: string
  /** What it cosigned last. Of the same size with another root: proof that the log has forked. */
  readonly cosigned: string | undefined
  readonly fork: boolean
}

export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422
  readonly body: string
}

/**
 * A witness after https://c2sp.org/tlog-witness: cosigns a log's checkpoint when that is shown to contain the one before.
 * It keeps one checkpoint per log. What it has cosigned is durable before anybody gets it, and of two submissions that
 * begin at the same checkpoint only one is kept, so that no two of its cosignatures can be of different histories.
 */
export class Witness {
  readonly verifierKey: string
  readonly #options: WitnessOptions
  /** The verifier keys of each log, by its origin. */
  readonly #logs: ReadonlyMap<string, readonly string[]>

  /** @throws AuditError AUDIT_INVALID for a key or name that is none */
  constructor(options: WitnessOptions) {
    this.#options = options
    this.verifierKey = witnessKeyOf(options.name, options.signingKey)
    this.#logs = byOrigin(options.logs)
  }

  /** The checks stand in the order of the specification. */
  async addCheckpoint(body: string): Promise<WitnessAnswer> {
    let submission: Submission
    let origin: string
    try {
      submission = parseSubmission(body)
      ;({ origin } = parseCheckpoint(submission.checkpoint))
    } catch (error) {
      return refused(400, whyInvalid(error))
    }
    const logKeys = this.#logs.get(origin)
    if (logKeys === undefined) return refused(404, 'this witness does not know that log')
    let head: TreeHead
    try {
      head = verifyCheckpoint(submission.checkpoint, ...logKeys)
    } catch (error) {
      return refused(403, whyInvalid(error))
    }
    if (submission.older > head.size) return refused(400, 'the old size is above that of the checkpoint')
    return await this.#extend(head, submission, logKeys)
  }

  /** The newest checkpoint that it has cosigned, by the SHA-256 of its log's origin in lowercase hex. */
  async checkpointOf(originHash: string): Promise<string | undefined> {
    const stored = await this.#options.store.get(keyOf(originHash))
    return stored && new TextDecoder().decode(stored)
  }

  /** For each log the size of the newest checkpoint that it has cosigned; 0 for none. */
  async sizes(): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>()
    for (const origin of this.#logs.keys()) sizes.set(origin, headOf(await this.checkpointOf(hashOf(origin))).size)
    return sizes
  }

  async #extend(head: TreeHead, submission: Submission, logKeys: readonly string[]): Promise<WitnessAnswer> {
    const { older, proof, checkpoint } = submission
    const { name, signingKey, store, now } = this.#options
    const key = keyOf(hashOf(head.origin))
    const stored = await store.get(key)
    const cosigned = stored && new TextDecoder().decode(stored)
    const last = headOf(cosigned)
    const refuse = (status: 409 | 422, answer: string, why: string) => {
      const fork = head.size === last.size && !sameRoot(head, last)
      this.#options.onRefusal?.({ origin: head.origin, status, why, submitted: checkpoint, cosigned, fork })
      return { status, body: answer } as const
    }
    if (older !== last.size) {
      const why = `submitted ${head.size} after ${older}; it was cosigned up to ${last.size}`
      return refuse(409, `${last.size}\n`, why)
    }
    if (head.size === 0 && !sameRoot(head, emptyTree))
      return refuse(422, 'an empty tree has another root\n', 'no empty tree')
    if (!isConsistent(last, head, proof)) {
      const why = `the tree of ${head.size} is not shown to begin with the tree of ${last.size} that was cosigned`
      return refuse(422, `${why}\n`, why)
    }
    const line = cosign(checkpoint, name, signingKey, now())
    const kept = withOnlySignaturesOf(logKeys.map(parseVerifierKey), checkpoint) + line
    try {
      await store.commit({ puts: [[key, new TextEncoder().encode(kept)]], conditions: [[key, stored]] })
    } catch (error) {
      if (!isConflict(error)) throw error
      return await this.#extend(head, submission, logKeys) // another one came first; look at what it left
    }
    return { status: 200, body: line }
  }
}

function byOrigin(keys: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const logs = new Map<string, string[]>()
  for (const key of new Set(keys)) {
    const { name } = parseVerifierKey(key)
    logs.set(name, [...(logs.get(name) ?? []), key])
  }
  return logs
}

const emptyTree: SizedRoot = { size: 0, root: Buffer.from(new Frontier().root(), 'latin1') }

function headOf(checkpoint: string | undefined): SizedRoot {
  return checkpoint === undefined ? emptyTree : parseCheckpoint(checkpoint)
}

function sameRoot(one: SizedRoot, other: SizedRoot): boolean {
  return Buffer.from(one.root).equals(other.root)
}

/** What a log is called where a path or a key is needed. */
export function hashOf(origin: string): string {
  return createHash('sha256').update(origin).digest('hex')
}

function keyOf(originHash: string): string {
  return `witness/${originHash}`
}

function refused(status: 400 | 403 | 404, why: string): WitnessAnswer {
  return { status, body: `${why}\n` }
}

function isConflict(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'CONFLICT'
}

function whyInvalid(error: unknown): string {
  if (error instanceof AuditError) return error.message
  throw error
}
