import { isDiskFull } from '#protocol'
import { commitmentIn } from '../entries/commitment-room.js'
import { payloadLayout } from './files.js'
import { KeyFile, type KeyFolders } from './key-file.js'
import type { KeysToErase, PayloadOptions } from './options.js'
import { sequenceIn } from './message-place.js'
import { payloadFrames, type Payloads } from './payload-buffer.js'
import { PayloadStore } from './payload-store.js'
import { destroyWrappingKey } from './wrapping-key.js'

/** Days whose keys are open: today, yesterday around midnight, and another one when a clock is set. */
const maxOpenDays = 3

/** The writer's side of payloads: fills in what the broker's thread has left empty in the records that commit to them. */
export class PayloadSealer {
  readonly #folders: KeyFolders
  readonly #store: PayloadStore | undefined
  readonly #days = new Map<number, KeyFile>()

  constructor(directory: string, options: PayloadOptions) {
    this.#folders = { directory, keyFolder: options.keyFolder }
    this.#store = options.mode === 'store' ? new PayloadStore(directory, options) : undefined
  }

  /**
   * When it returns every key that the records go by is durable, and so is every payload that is to be kept; the records
   * themselves are the caller's to write. A full disk must not keep from the log what is to go into its reserve: then the
   * records commit as always, payloads are not kept, new keys wait in memory, and it returns what is missing.
   */
  seal(records: Buffer, payloads: Payloads): string | undefined {
    for (const keys of this.#days.values()) keys.noticeWrappingKey()
    for (const { entryEnd, day, place, device, keep, opening } of payloadFrames(payloads)) {
      const key = this.#keysOf(day).keyFor(device, sequenceIn(place))
      records.write(key.commit(opening, place), commitmentIn(entryEnd), 'latin1')
      if (keep) this.#store?.add(day, { device, place }, opening, key)
    }
    return this.sync()
  }

  /** Makes durable what is not yet. @returns what there is no room for */
  sync(): string | undefined {
    try {
      for (const keys of this.#days.values()) keys.sync()
      this.#store?.sync()
      return undefined
    } catch (error) {
      if (!isDiskFull(error)) throw error
      return `${error.message}; payloads of the last batch are not kept, and what is new of their keys only in memory`
    }
  }

  /** Destroys keys where they lie; durable when it returns. @returns how many there were */
  erase({ day, device }: KeysToErase): number {
    const open = this.#days.get(day)
    const keys = open ?? KeyFile.openIfThere(this.#folders, day)
    if (!keys) {
      // What was wrapped may be gone, or lie in a backup only.
      if (device === undefined) destroyWrappingKey(payloadLayout.wrappingKey(this.#folders.keyFolder, day))
      return 0
    }
    try {
      return keys.erase(device)
    } finally {
      if (!open) keys.close()
    }
  }

  close(): void {
    this.sync()
    for (const keys of this.#days.values()) keys.close()
    this.#days.clear()
    this.#store?.close()
  }

  #keysOf(day: number): KeyFile {
    return this.#days.get(day) ?? this.#open(day)
  }

  #open(day: number): KeyFile {
    if (this.#days.size >= maxOpenDays && this.sync() === undefined) this.#closeOldest()
    const keys = KeyFile.open(this.#folders, day)
    this.#days.set(day, keys)
    return keys
  }

  #closeOldest(): void {
    for (const [day, keys] of this.#days) {
      if (this.#days.size < maxOpenDays) return
      keys.close()
      this.#days.delete(day)
    }
  }
}
