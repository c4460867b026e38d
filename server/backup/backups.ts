import { join } from 'node:path'
import type { AuditLog, LogCopy, Retention } from '#audit'
import { fileNames, formatVersion, logPrefix, type Manifest, type Member, packRows, writeBackup } from '#backup'
import type { OperatorFacts } from '#protocol'
import type { Store } from '#store'
import { ServerError } from '../errors.js'
import { readIfThere } from '../files.js'

export interface BackupsOptions {
  readonly dataFolder: string
  readonly store: Pick<Store, 'entries'>
  readonly audit: Pick<AuditLog, 'append' | 'whenDurable' | 'copy'>
  readonly retention: Pick<Retention, 'hold'>
  /** What the service is known by. */
  readonly identity: () => Pick<Manifest, 'version' | 'trustDomain' | 'rootSpki'>
  /** How often it has changed whom the service keeps out. */
  readonly epoch: () => number
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Who asks for nothing more of it for so long keeps the service no longer from what waits for its end. Default: 60,000 */
  readonly patienceMs?: number
}

/** Backups of a service that goes on meanwhile, one at a time. */
export class Backups {
  readonly #options: BackupsOptions
  #isTaking = false

  constructor(options: BackupsOptions) {
    this.#options = options
  }

  /**
   * A backup, piece by piece; its record is durable before the first. To be read to its end, or returned.
   * @throws ServerError BACKUP_UNDER_WAY; BACKUP_NOT_READ: its reader was too slow; what store, log or files fail with
   */
  async *take(by: OperatorFacts): AsyncGenerator<Uint8Array, void> {
    const { patienceMs = 60_000 } = this.#options
    const pieces = this.#take(by)
    let isOver = false
    const giveUp = (): void => {
      isOver = true
      void pieces.return().catch(() => undefined)
    }
    for await (const piece of pieces) {
      const patience = setTimeout(giveUp, patienceMs)
      try {
        yield piece
      } finally {
        clearTimeout(patience)
      }
    }
    if (isOver) throw new ServerError('BACKUP_NOT_READ', `nothing of it was read for ${patienceMs / 1000} s`)
  }

  async *#take(by: OperatorFacts): AsyncGenerator<Uint8Array, void> {
    const { audit, retention } = this.#options
    if (this.#isTaking) throw new ServerError('BACKUP_UNDER_WAY', 'a backup is being taken; come back when it is done')
    this.#isTaking = true
    const letGo = await retention.hold()
    try {
      await audit.whenDurable(audit.append({ event: 'backup.take', ...by }))
      yield* this.#pieces()
    } finally {
      letGo()
      this.#isTaking = false
    }
  }

  /**
   * The rows are read first, all as they are at one moment, and the log, by a checkpoint that comes later: so whatever the
   * rows hold stands in the log, and what the log has more, a start applies to them.
   */
  async *#pieces(): AsyncGenerator<Uint8Array, void> {
    const { store, identity, epoch, now } = this.#options
    const at = now()
    const rows = packRows(store.entries(''))
    try {
      const first = await rows.next()
      const { files, log } = await this.#filesAndLog()
      const { size: treeSize, checkpoint } = log
      const manifest = { format: formatVersion, ...identity(), epoch: epoch(), treeSize, checkpoint, at }
      yield* writeBackup(
        manifest,
        (async function* () {
          if (!first.done) yield first.value
          yield* rows
          yield* files
          for await (const { path, bytes } of log.files()) yield { name: `${logPrefix}${path}`, bytes: bufferOf(bytes) }
        })(),
      )
    } finally {
      await rows.return()
    }
  }

  /** Of one moment too: keys can be changed, and the checkpoint must be signed with those that are among the files. */
  async #filesAndLog(): Promise<{ readonly files: readonly Member[]; readonly log: LogCopy }> {
    for (let files = await this.#files(); ;) {
      const log = await this.#options.audit.copy()
      const again = await this.#files()
      if (isSame(files, again)) return { files, log }
      files = again
    }
  }

  async #files(): Promise<readonly Member[]> {
    const files: Member[] = []
    for (const name of fileNames) {
      const bytes = await readIfThere(join(this.#options.dataFolder, name))
      if (bytes) files.push({ name, bytes })
    }
    return files
  }
}

function isSame(some: readonly Member[], others: readonly Member[]): boolean {
  return some.length === others.length && others.every(({ bytes }, at) => some[at]?.bytes.equals(bytes))
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
