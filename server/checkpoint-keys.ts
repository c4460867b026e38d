import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditTrail, OperatorFacts, RotateKeyAnswer, RotateKeyRequest, TrustDomain } from '#protocol'
import { type AuditLog, type SigningKeys, verifierKeyOf } from '#audit'
import { ServerError } from './errors.js'
import { readIfThere, writeDurably } from './files.js'
import { openSigningKey, parseSigningKey } from './keys.js'

const day = 86_400_000
const defaultOverlapDays = 7
const lookEveryMilliseconds = 3_600_000
const knownKeys = 'audit.vkeys'

interface Previous {
  readonly key: KeyObject
  /** Until then it signs as well. */
  readonly until: number
}

/** What of the log it takes. */
type Log = Pick<AuditLog, 'checkpoint' | 'signWith' | 'isSignedBy'> & Pick<AuditTrail, 'append' | 'whenDurable'>

export interface CheckpointKeysOptions {
  /** Holds `audit.key`, the verifier keys of all there ever were, and, while the key changes, `audit.previous.key`. */
  readonly folder: string
  readonly origin: string
  readonly now: () => number
}

/**
 * The key that signs the log's checkpoints, and the one before it. After a change both sign for some days, so that
 * whoever checks has the time to fetch the new verifier key, and the old one vouches for it.
 *
 * The order that a crash may come between: the old key is durable in its second place before the new one takes the
 * first; it goes only after the newest checkpoint was signed with the new one. So whatever checkpoint is on disk, one of
 * the keys has signed it.
 */
export class CheckpointKeys {
  readonly #options: CheckpointKeysOptions
  #current: KeyObject
  #previous: Previous | undefined
  #everKnown: readonly string[]

  private constructor(
    options: CheckpointKeysOptions,
    current: KeyObject,
    previous: Previous | undefined,
    known: readonly string[],
  ) {
    this.#options = options
    this.#current = current
    this.#previous = previous
    this.#everKnown = known
  }

  /** Makes the first key where there is none. @throws ServerError FOLDER_UNUSABLE */
  static async open(options: CheckpointKeysOptions): Promise<CheckpointKeys> {
    const current = await openSigningKey(join(options.folder, 'audit.key'))
    const path = join(options.folder, 'audit.previous.key')
    const stored = await readIfThere(path)
    const previous = stored && readPrevious(path, stored)
    const known = (await readIfThere(join(options.folder, knownKeys)))?.toString().trimEnd().split('\n') ?? []
    const keys = new CheckpointKeys(
      options,
      current,
      previous && !previous.key.equals(current) ? previous : undefined,
      known,
    )
    if (previous) await keys.#know(previous.key)
    await keys.#know(current)
    return keys
  }

  /** Verifier keys of all that ever signed: a checkpoint that was kept outside for years is still the log's. */
  get everKnown(): readonly string[] {
    return this.#everKnown
  }

  /** Those that a checkpoint on disk can be signed with, the present one first. */
  get signing(): SigningKeys {
    return { signingKey: this.#current, ...(this.#previous && { previousKey: this.#previous.key }) }
  }

  /** Answers when the record is durable. @throws ServerError KEY_CHANGING while the last change is under way */
  async rotate(
    log: Log,
    { days = defaultOverlapDays }: Pick<RotateKeyRequest, 'days'>,
    by: OperatorFacts,
  ): Promise<RotateKeyAnswer> {
    const { folder, now } = this.#options
    await this.retireDue(log)
    if (this.#previous) {
      const until = new Date(this.#previous.until).toISOString()
      throw new ServerError('KEY_CHANGING', `the key is being changed already: the one before signs until ${until}`)
    }
    const previous = { key: this.#current, until: now() + days * day }
    const { privateKey: next } = generateKeyPairSync('ed25519')
    await this.#know(next)
    await writeDurably(join(folder, 'audit.previous.key'), renderPrevious(previous))
    await writeDurably(join(folder, 'audit.key'), pemOf(next))
    this.#previous = previous
    this.#current = next
    log.signWith(days > 0 ? this.signing : { signingKey: next })
    const [verifierKey, previousVerifierKey] = [next, previous.key].map((key) =>
      verifierKeyOf(this.#options.origin, key),
    )
    const keys = { verifierKey: verifierKey ?? '', previousVerifierKey: previousVerifierKey ?? '' }
    await log.whenDurable(log.append({ event: 'log.key_rotate', ...keys, notAfter: previous.until, ...by }))
    return { ...keys, notAfter: new Date(previous.until).toISOString() }
  }

  /** Lets go of the key before, once its time is over and nothing on disk needs it. */
  async retireDue(log: Log): Promise<void> {
    const { folder, origin, now } = this.#options
    const previous = this.#previous
    if (!previous || now() < previous.until || !log.isSignedBy(verifierKeyOf(origin, this.#current))) return
    log.signWith({ signingKey: this.#current })
    await log.whenDurable(log.append({ event: 'log.key_retire', verifierKey: verifierKeyOf(origin, previous.key) }))
    await rm(join(folder, 'audit.previous.key'), { force: true })
    this.#previous = undefined
  }

  /** Before it signs anything. */
  async #know(key: KeyObject): Promise<void> {
    const { folder, origin } = this.#options
    const verifierKey = verifierKeyOf(origin, key)
    if (this.#everKnown.includes(verifierKey)) return
    this.#everKnown = [...this.#everKnown, verifierKey]
    await writeDurably(join(folder, knownKeys), `${this.#everKnown.join('\n')}\n`)
  }

  /** Looks now and then until it is told to stop. */
  start(log: Log, warn: (sentence: string) => void): () => void {
    const look = () =>
      this.retireDue(log).catch((error: unknown) => warn(`could not retire the key before: ${String(error)}`))
    const timer = setInterval(() => void look(), lookEveryMilliseconds).unref()
    return () => clearInterval(timer)
  }
}

/** What an installation's log is called in its checkpoints. */
export function auditOrigin(trustDomain: TrustDomain): string {
  return `${trustDomain}/audit`
}

/** A PEM file may begin with a word to its reader (RFC 7468 §5.2). */
function renderPrevious({ key, until }: Previous): string {
  return `signs until ${new Date(until).toISOString()}\n${pemOf(key)}`
}

function readPrevious(path: string, stored: Buffer): Previous {
  const [, until = ''] = /^signs until (\S+)\n/.exec(stored.toString()) ?? []
  if (Number.isNaN(Date.parse(until))) throw new ServerError('FOLDER_UNUSABLE', `${path}: expected "signs until TIME"`)
  return { key: parseSigningKey(path, stored), until: Date.parse(until) }
}

function pemOf(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString()
}
