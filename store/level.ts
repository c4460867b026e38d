import { messageOf } from '#protocol'
import { Level } from 'level'
import { findConflict } from './conditions.js'
import { StoreError, type StoreErrorCode } from './errors.js'
import type { Changes, Store } from './store.js'

type Database = Level<string, Uint8Array>
type Operation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

interface Waiting {
  readonly changes: Changes
  readonly resolve: () => void
  readonly reject: (error: StoreError) => void
}

/**
 * Opens the store in a folder, and makes the folder where there is none. One process at a time.
 * @throws StoreError STORE_LOCKED, STORE_DAMAGED, STORE_FAILED, STORE_FULL
 */
export async function openLevelStore(folder: string): Promise<Store> {
  const database: Database = new Level(folder, { keyEncoding: 'utf8', valueEncoding: 'view' })
  try {
    await database.open()
  } catch (error) {
    await database.close().catch(() => undefined)
    throw explainOpening(folder, error)
  }
  return new LevelStore(database, folder)
}

class LevelStore implements Store {
  readonly #database: Database
  readonly #folder: string
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #closed = false
  /** Set by the first write that the disk refuses: what level holds after it is known again only by opening it anew. */
  #failure: StoreError | undefined

  constructor(database: Database, folder: string) {
    this.#database = database
    this.#folder = folder
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#requireOpen()
    return await this.#read(key)
  }

  async *entries(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]> {
    this.#requireOpen()
    try {
      for await (const [key, value] of this.#database.iterator({ gte: prefix })) {
        if (!key.startsWith(prefix)) return
        yield [key, value]
      }
    } catch (cause) {
      throw failed(this.#folder, 'reading', cause)
    }
  }

  async commit(changes: Changes): Promise<void> {
    this.#requireOpen()
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ changes, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#writing
    await this.#database.close()
  }

  /** One synced write at a time; whatever is committed while it runs shares the next. */
  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        if (this.#failure) throw this.#failure
        await this.#write(batch)
      } catch (cause) {
        this.#failure ??= failed(this.#folder, 'writing', cause)
        for (const { reject } of batch) reject(this.#failure)
      }
    }
    this.#writing = undefined
  }

  /** Nobody hears anything before the sync, not even of a conflict: it could be with a commit that then fails. */
  async #write(batch: readonly Waiting[]): Promise<void> {
    const changed = new Map<string, Uint8Array | undefined>()
    const current = (key: string) => (changed.has(key) ? changed.get(key) : this.#read(key))
    const outcomes: (() => void)[] = []
    for (const { changes, resolve, reject } of batch) {
      const conflict = await findConflict(changes, current)
      if (conflict) outcomes.push(() => reject(conflict))
      else {
        for (const key of changes.deletes ?? []) changed.set(key, undefined)
        for (const [key, value] of changes.puts ?? []) changed.set(key, value)
        outcomes.push(resolve)
      }
    }
    if (changed.size > 0) await this.#database.batch([...changed].map(operation), { sync: true })
    for (const tell of outcomes) tell()
  }

  async #read(key: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#database.get(key)
    } catch (cause) {
      throw failed(this.#folder, 'reading', cause)
    }
  }

  #requireOpen(): void {
    if (this.#closed) throw new StoreError('STORE_CLOSED', 'the store is closed')
  }
}

function operation([key, value]: [string, Uint8Array | undefined]): Operation {
  return value === undefined ? { type: 'del', key } : { type: 'put', key, value }
}

function failed(folder: string, doing: string, cause: unknown): StoreError {
  if (isCorruption(cause)) return damaged(folder, cause)
  return new StoreError(
    codeOf(cause),
    `${doing} failed (${messageOf(cause)}): check the disk and its free space, then start again`,
    { cause },
  )
}

/** Not repaired: what level would leave out nobody could tell, and a lock or a revocation could be among it. */
function damaged(folder: string, cause: unknown): StoreError {
  return new StoreError(
    'STORE_DAMAGED',
    `${folder} is damaged (${messageOf(cause)}): check the disk, put back a backup of the whole data folder, or move ` +
      'this folder away and start again. Then devices, certificates and tokens come back from the audit log; ' +
      'sessions, retained messages and the policy in force do not',
    { cause },
  )
}

/** What does not add up, and files that are gone or end too soon. */
function isCorruption(cause: unknown): boolean {
  if (!(cause instanceof Error) || !('code' in cause)) return false
  if (cause.code === 'LEVEL_CORRUPTION') return true
  return cause.code === 'LEVEL_IO_ERROR' && /: (No such file or directory|Invalid argument)$/.test(cause.message)
}

/** Level has a code for what the disk says, and only words for what that is. */
function codeOf(cause: unknown): StoreErrorCode {
  const isFull = /No space left on device|Disk quota exceeded/.test(messageOf(cause))
  return isFull ? 'STORE_FULL' : 'STORE_FAILED'
}

function explainOpening(folder: string, error: unknown): StoreError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  if (cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED') {
    return new StoreError(
      'STORE_LOCKED',
      `${folder} is in use by another process: stop that one first, or choose another data folder`,
      { cause },
    )
  }
  if (isCorruption(cause)) return damaged(folder, cause)
  return new StoreError(codeOf(cause), `cannot open ${folder}: ${messageOf(cause)}`, { cause })
}
