import { constants } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AuditError } from '../errors.js'
import { orNothing } from '../or-nothing.js'
import { syncFolder } from '../sync-folder.js'
import { parseCheckpoint } from '../tree/checkpoint.js'
import { exchange } from './exchange.js'
import { type LogIdentity, verifyOurs } from './ours.js'
import type { Given, OutsidePlace } from './outside.js'
import { requireContained } from './witnessed.js'

export type PublishSettings =
  | {
      readonly file: string
      /** Every checkpoint that was published is appended here, as a JSON document a line. */
      readonly history?: string | undefined
    }
  | { readonly url: URL; readonly method: 'PUT' | 'POST'; readonly ca?: string | undefined }

/** A place that takes checkpoints and says nothing of them. */
export function createPublished(settings: PublishSettings, log: LogIdentity): OutsidePlace {
  return 'file' in settings ? new PublishedFile(settings, log) : new PublishedUrl(settings, log)
}

/** On a disk that somebody else has, or that cannot be written twice; its folder must be there, as a mount point is not. */
class PublishedFile implements OutsidePlace {
  readonly kind = 'published'
  readonly name: string
  readonly #history: string | undefined
  readonly #log: LogIdentity

  constructor({ file, history }: Extract<PublishSettings, { file: string }>, log: LogIdentity) {
    this.name = file
    this.#history = history
    this.#log = log
  }

  async given(signal: AbortSignal): Promise<Given | undefined> {
    try {
      const file = await inTime(signal, () => readShort(this.name))
      return file && { size: parseCheckpoint(file.text).size, at: file.at }
    } catch {
      return undefined // whatever is wrong shows when it is given the next one
    }
  }

  async give(checkpoint: string, signal: AbortSignal): Promise<Given> {
    await inTime(signal, () => this.#write(checkpoint))
    return { size: parseCheckpoint(checkpoint).size, at: this.#log.now() }
  }

  async requireContained(signal: AbortSignal): Promise<void> {
    const file = await inTime(signal, () => readShort(this.name))
    if (!file) return
    const head = verifyOurs(file.text, this.#log, 'the file holds something else than a checkpoint of this log')
    await requireContained(this.#log.directory, head, this.name)
  }

  /** The history first, so that what was published once is in it. */
  async #write(checkpoint: string): Promise<void> {
    if (this.#history !== undefined) {
      const { size, root } = parseCheckpoint(checkpoint)
      const time = new Date(this.#log.now()).toISOString()
      const line = { time, size, root: Buffer.from(root).toString('base64'), checkpoint }
      await writeSynced(this.#history, constants.O_APPEND, `${JSON.stringify(line)}\n`)
    }
    await writeSynced(`${this.name}.new`, constants.O_TRUNC, checkpoint)
    await rename(`${this.name}.new`, this.name)
    await syncFolder(dirname(this.name))
  }
}

class PublishedUrl implements OutsidePlace {
  readonly kind = 'published'
  /** Without what can be a secret in an address: the user's part, and the query. */
  readonly name: string
  readonly #settings: Extract<PublishSettings, { url: URL }>
  readonly #log: LogIdentity

  constructor(settings: Extract<PublishSettings, { url: URL }>, log: LogIdentity) {
    this.name = settings.url.origin + settings.url.pathname
    this.#settings = settings
    this.#log = log
  }

  async given(): Promise<undefined> {
    // Nobody asks: what is at the address need not be what was sent there.
  }

  async give(checkpoint: string, signal: AbortSignal): Promise<Given> {
    const { url, method, ca } = this.#settings
    const { status } = await exchange(url, { method, body: checkpoint, ca, signal })
    if (status < 200 || status > 299) {
      const redirected = status >= 300 && status < 400 ? ', and redirections are not followed' : ''
      throw new AuditError('AUDIT_UNREACHABLE', `it answers ${status}${redirected}`)
    }
    return { size: parseCheckpoint(checkpoint).size, at: this.#log.now() }
  }

  async requireContained(): Promise<void> {
    // As above.
  }
}

/** A disk of others can keep a call for ever; the service waits no longer than it must. */
async function inTime<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () =>
      reject(new AuditError('AUDIT_UNREACHABLE', 'the disk does not answer in time')),
    )
  })
  try {
    return await Promise.race([work(), late])
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw new AuditError('AUDIT_UNREACHABLE', cause instanceof Error ? cause.message : 'cannot be written', { cause })
  }
}

/** A checkpoint with all signatures that anybody may have added is shorter. */
const maxFileBytes = 64 * 1024

/** Undefined where there is no file. */
async function readShort(path: string): Promise<{ readonly text: string; readonly at: number } | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(orNothing(undefined))
  if (!file) return undefined
  try {
    const { size, mtimeMs } = await statPlain(file)
    if (size > maxFileBytes) throw new AuditError('AUDIT_UNREACHABLE', `a file of ${size} bytes is no checkpoint`)
    return { text: await file.readFile('utf8'), at: Math.floor(mtimeMs) }
  } finally {
    await file.close()
  }
}

/** A pipe or a device can be endless, or keep whoever opens it for ever, and the end of the process with it. */
async function statPlain(file: FileHandle) {
  const stats = await file.stat()
  if (!stats.isFile()) throw new AuditError('AUDIT_UNREACHABLE', 'it is not a plain file')
  return stats
}

async function writeSynced(path: string, how: number, text: string): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_NONBLOCK | how
  const file = await open(path, flags, 0o644)
  try {
    await statPlain(file)
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}
