import { AuditError } from '../errors.js'
import { proveConsistency } from '../proof/consistency.js'
import { TileNodes } from '../proof/nodes.js'
import { parseCheckpoint } from '../tree/checkpoint.js'
import {
  type NoteSignature,
  parseNote,
  parseSignatureLines,
  signatureLine,
  signaturesOf,
  type VerifierKey,
} from '../tree/note.js'
import { parseWitnessKey, verifyCosignature } from './cosignature.js'
import { exchange } from './exchange.js'
import { type LogIdentity, verifyOurs } from './ours.js'
import type { Given, OutsidePlace } from './outside.js'
import { encodeSubmission } from './submission.js'
import { hashOf } from './witness.js'
import { keepWitnessed, readWitnessedBy, requireContained } from './witnessed.js'

export interface WitnessSettings {
  /** Before `/add-checkpoint` and, where `monitoring` does not say otherwise, `/<origin hash>/checkpoint`. */
  readonly url: URL
  readonly monitoring?: URL | undefined
  readonly vkey: string
  /** PEM of the CA that its TLS certificate is from. Default: those of the system */
  readonly ca?: string | undefined
}

/** A witness says where it stands at most so often before it is taken at its word that it will not cosign. */
const maxOffers = 3
/** A cosignature is made while we wait for it; clocks may differ by so much. */
const clockToleranceMilliseconds = 3_600_000

/**
 * Offers the log's checkpoints to one witness (https://c2sp.org/tlog-witness), and keeps what it cosigns. What a witness
 * says of sizes is not signed, so that alone proves nothing; a checkpoint with our own signature does.
 */
export class WitnessClient implements OutsidePlace {
  readonly kind = 'witness'
  readonly name: string
  readonly #log: LogIdentity
  readonly #settings: WitnessSettings
  readonly #key: VerifierKey
  /** Up to where it has cosigned, as far as we know; wrong is no harm. */
  #seen = 0

  /** @throws AuditError AUDIT_INVALID */
  constructor(settings: WitnessSettings, log: LogIdentity) {
    this.#settings = settings
    this.#log = log
    this.#key = parseWitnessKey(settings.vkey)
    this.name = this.#key.name
  }

  /** What it has cosigned before this process began. */
  async given(): Promise<Given | undefined> {
    const note = await readWitnessedBy(this.#log.directory, this.#key)
    if (note === undefined) return undefined
    try {
      const { text, signatures } = parseNote(note)
      const at = verifyCosignature(text, signatures, this.#key)
      this.#seen = parseCheckpoint(note).size
      return at === undefined ? undefined : { size: this.#seen, at }
    } catch (error) {
      if (error instanceof AuditError && error.code === 'AUDIT_INVALID') return undefined // it will be written anew
      throw error
    }
  }

  /** The witness's cosignature, which is kept before this resolves. */
  async give(checkpoint: string, signal: AbortSignal): Promise<Given> {
    const { size } = parseCheckpoint(checkpoint)
    const nodes = new TileNodes(this.#log.directory)
    for (let offers = 0; offers < maxOffers; offers++) {
      const older = Math.min(this.#seen, size)
      const proof = await proveConsistency(older, size, nodes.read)
      const answer = await this.#post(encodeSubmission({ older, proof, checkpoint }), signal)
      if (answer.status === 200) return await this.#keep(checkpoint, size, answer.body)
      if (answer.status !== 409) return await this.#refused(answer.status, signal)
      const seen = sizeOf(answer.body)
      if (seen > size) return await this.#ahead(seen, size, signal)
      this.#seen = seen
    }
    throw new AuditError('AUDIT_UNREACHABLE', `it says another size each time (409, ${maxOffers} times)`)
  }

  /**
   * That the log contains the newest checkpoint that the witness has of it.
   * @throws AuditError AUDIT_ROLLED_BACK, AUDIT_UNREACHABLE
   */
  async requireContained(signal: AbortSignal): Promise<void> {
    const { directory, origin } = this.#log
    const { url, monitoring = url, ca } = this.#settings
    const { status, body } = await exchange(below(monitoring, `${hashOf(origin)}/checkpoint`), {
      method: 'GET',
      ca,
      signal,
    })
    if (status === 404) return
    if (status !== 200) throw new AuditError('AUDIT_UNREACHABLE', `it answers ${status} when asked for its checkpoint`)
    const otherwise = 'it answers with a checkpoint that this log has not signed'
    const head = verifyOurs(body, this.#log, otherwise, (note) => this.#hasCosigned(note))
    await requireContained(directory, head, `the witness ${this.name}`)
  }

  #hasCosigned(note: string): boolean {
    const { text, signatures } = parseNote(note)
    return verifyCosignature(text, signatures, this.#key) !== undefined
  }

  async #post(body: string, signal: AbortSignal) {
    const { url, ca } = this.#settings
    return await exchange(below(url, 'add-checkpoint'), { method: 'POST', body, ca, signal })
  }

  async #keep(checkpoint: string, size: number, answer: string): Promise<Given> {
    const { directory, now } = this.#log
    const lines = cosignaturesIn(answer)
    const at = verified(() => verifyCosignature(parseNote(checkpoint).text, lines, this.#key))
    const [cosignature] = signaturesOf(lines, this.#key)
    if (at === undefined || !cosignature)
      throw new AuditError('AUDIT_UNREACHABLE', 'its answer holds no cosignature of its key')
    if (Math.abs(at - now()) > clockToleranceMilliseconds) {
      const problem = `its cosignature is of ${new Date(at).toISOString()}, which is not now by the clock here`
      throw new AuditError('AUDIT_UNREACHABLE', problem)
    }
    const line = signatureLine(this.#key, cosignature)
    await keepWitnessed(directory, this.#key, checkpoint + line)
    this.#seen = size
    return { size, at, line }
  }

  /** It says that it has seen more than there is. What it can show decides whether that is so. */
  async #ahead(seen: number, size: number, signal: AbortSignal): Promise<never> {
    await this.requireContained(signal)
    const problem = `it says that it has cosigned ${seen} records of this log, which has ${size}, and shows no such checkpoint`
    throw new AuditError('AUDIT_UNWITNESSED', problem)
  }

  async #refused(status: number, signal: AbortSignal): Promise<never> {
    if (status === 422) await this.requireContained(signal)
    const said = refusals[status]
    if (said === undefined) throw new AuditError('AUDIT_UNREACHABLE', `it answers ${status}`)
    throw new AuditError('AUDIT_UNWITNESSED', `${said} (${status})`)
  }
}

const refusals: Readonly<Record<number, string>> = {
  400: 'it does not understand what it is sent',
  403: 'it has another verifier key for this log',
  404: 'it does not know this log; give it the verifier key in operator/audit.vkey',
  422: 'what it has cosigned of this log is not the beginning of the log here, it says',
}

function cosignaturesIn(answer: string): readonly NoteSignature[] {
  return verified(() => parseSignatureLines(answer))
}

/** Whatever is wrong with a cosignature, it is as if none had come. */
function verified<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : ''
    throw new AuditError('AUDIT_UNREACHABLE', `its answer is no cosignature: ${why}`, { cause })
  }
}

function sizeOf(body: string): number {
  const [, size = ''] = /^(0|[1-9][0-9]{0,15})\n$/.exec(body) ?? []
  if (size === '' || !Number.isSafeInteger(Number(size)))
    throw new AuditError('AUDIT_UNREACHABLE', 'it answers 409 without its size')
  return Number(size)
}

/** A file below a prefix, whether or not that ends with a slash. */
function below(prefix: URL, path: string): URL {
  const url = new URL(prefix)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${path}`
  return url
}
