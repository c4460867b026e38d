import { randomBytes } from 'node:crypto'
import { closeSync, fdatasyncSync, fstatSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncFolderNow } from '../sync-folder.js'
import { DayKey, dayKeyBytes } from './day-key.js'
import { makeFolderNow, openIfThere, payloadLayout, readAt, writeAllAt } from './files.js'
import { decodeSlot, encodeSlot, erased, isErased, sealedAt, slotBytes, unwrapSlot } from './key-slot.js'
import { createWrappingKey, destroyWrappingKey, keepWrappingKey, readWrappingKey } from './wrapping-key.js'

export interface KeyFolders {
  /** Of the log; the wrapped keys lie in it. */
  readonly directory: string
  /** Of the keys that wrap them; outside the log's folder and its backups. */
  readonly keyFolder: string
}

/** So many devices' keys of a day lie ready in memory, about 1 KiB each; those of others are read again. */
export const maxReadyKeys = 16_384

/**
 * The keys of all devices for one day, as the writer's thread makes and uses them. Only `sync` takes room on the disk: a
 * day that begins on a full one goes on in memory.
 */
export class KeyFile {
  readonly #day: number
  readonly #path: string
  /** Undefined until there is something to write. */
  #file: number | undefined
  readonly #wrappingKeyPath: string
  /** Read, or made, when a device's key is asked for: who erases needs none. */
  #wrappingKey: Buffer | undefined
  #isWrappingKeyKept = true
  /** The newest slot of each device; as many as there are devices. */
  readonly #newest = new Map<string, { readonly at: number; readonly from: number }>()
  readonly #ready = new Map<string, DayKey>()
  /** Where the next slot goes. */
  #end: number
  #pending: Buffer[] = []

  private constructor(folders: KeyFolders, day: number, file: number | undefined) {
    this.#day = day
    this.#path = payloadLayout.keys(folders.directory, day)
    this.#file = file
    this.#wrappingKeyPath = payloadLayout.wrappingKey(folders.keyFolder, day)
    // An incomplete last slot was never synced, so nothing goes by it: the next one is written over it.
    this.#end = file === undefined ? 0 : Math.floor(fstatSync(file).size / slotBytes) * slotBytes
    this.#eachSlot((at, bytes) => {
      const slot = decodeSlot(bytes)
      if (slot) this.#newest.set(slot.device, { at, from: slot.from })
    })
  }

  static open(folders: KeyFolders, day: number): KeyFile {
    return KeyFile.openIfThere(folders, day) ?? new KeyFile(folders, day, undefined)
  }

  static openIfThere(folders: KeyFolders, day: number): KeyFile | undefined {
    const file = openIfThere(payloadLayout.keys(folders.directory, day), 'r+')
    return file === undefined ? undefined : new KeyFile(folders, day, file)
  }

  /**
   * A device's key for a record; a new one is not durable before `sync`.
   * @throws AuditError AUDIT_CORRUPT when the day's wrapping key is there and is none
   */
  keyFor(device: string, sequence: number): DayKey {
    return this.#ready.get(device) ?? this.#makeReady(device, sequence)
  }

  /** All keys that were given out are on disk when it returns, in one write and one sync. */
  sync(): void {
    if (this.#pending.length === 0) return
    this.#keepWrappingKey()
    const file = (this.#file ??= this.#make())
    writeAllAt(file, Buffer.concat(this.#pending), this.#syncedEnd)
    fdatasyncSync(file)
    this.#pending = []
  }

  /**
   * Somebody may have taken the wrapping key away, which erases what the day has said up to now, or put another one in
   * its place: what comes goes by what is there. A file that cannot be read is no answer, and changes nothing.
   */
  noticeWrappingKey(): void {
    if (!this.#wrappingKey || !this.#isWrappingKeyKept || this.#isStillThere(this.#wrappingKey)) return
    this.#wrappingKey = undefined
    this.#ready.clear()
  }

  /** Overwrites the keys of a device, or of all, where they lie; durable when it returns. @returns how many there were */
  erase(device?: string): number {
    this.sync()
    if (device === undefined) {
      destroyWrappingKey(this.#wrappingKeyPath)
      this.#wrappingKey = undefined
      this.#isWrappingKeyKept = true
    }
    const count = this.#file === undefined ? 0 : this.#overwrite(this.#file, device)
    if (device === undefined) this.#ready.clear()
    else this.#ready.delete(device)
    return count
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
  }

  #makeReady(device: string, sequence: number): DayKey {
    const key = new DayKey(this.#read(device, sequence) ?? this.#create(device, sequence))
    if (this.#ready.size >= maxReadyKeys)
      for (const oldest of [...this.#ready.keys()].slice(0, 1)) this.#ready.delete(oldest)
    this.#ready.set(device, key)
    return key
  }

  /** One that was made for a later record belongs to records that a crash has taken away. */
  #read(device: string, sequence: number): Buffer | undefined {
    const slot = this.#newest.get(device)
    if (!slot || slot.from > sequence) return undefined
    this.#wrappingKey ??= readWrappingKey(this.#wrappingKeyPath)
    if (!this.#wrappingKey) return undefined
    return unwrapSlot(this.#wrappingKey, this.#day, this.#slotAt(slot.at))
  }

  #slotAt(at: number): Buffer {
    const pending = this.#pending[(at - this.#syncedEnd) / slotBytes]
    if (pending) return pending
    return this.#file === undefined ? Buffer.alloc(slotBytes) : readAt(this.#file, at, slotBytes)
  }

  #create(device: string, sequence: number): Buffer {
    const dayKey = randomBytes(dayKeyBytes)
    this.#pending.push(encodeSlot(this.#findWrappingKey(), this.#day, { device, from: sequence }, dayKey))
    this.#newest.set(device, { at: this.#end, from: sequence })
    this.#end += slotBytes
    return dayKey
  }

  #findWrappingKey(): Buffer {
    const key = this.#wrappingKey ?? readWrappingKey(this.#wrappingKeyPath)
    this.#isWrappingKeyKept &&= key !== undefined
    return (this.#wrappingKey = key ?? createWrappingKey())
  }

  #isStillThere(wrappingKey: Buffer): boolean {
    try {
      return readWrappingKey(this.#wrappingKeyPath)?.equals(wrappingKey) ?? false
    } catch {
      return true
    }
  }

  #keepWrappingKey(): void {
    if (this.#isWrappingKeyKept || !this.#wrappingKey) return
    keepWrappingKey(this.#wrappingKeyPath, this.#wrappingKey)
    this.#isWrappingKeyKept = true
  }

  /** @returns the file, whose name is durable; a full disk may have left an empty one */
  #make(): number {
    makeFolderNow(dirname(this.#path))
    const file = openIfThere(this.#path, 'r+') ?? openSync(this.#path, 'wx+', 0o600)
    syncFolderNow(dirname(this.#path))
    return file
  }

  #overwrite(file: number, device: string | undefined): number {
    let count = 0
    this.#eachSlot((at, bytes) => {
      if (isErased(bytes) || (device !== undefined && decodeSlot(bytes)?.device !== device)) return
      writeAllAt(file, erased, at + sealedAt)
      count++
    })
    fdatasyncSync(file)
    return count
  }

  /** Where the slots end that are on disk. */
  get #syncedEnd(): number {
    return this.#end - this.#pending.length * slotBytes
  }

  #eachSlot(visit: (at: number, bytes: Buffer) => void): void {
    if (this.#file === undefined) return
    const bytes = readAt(this.#file, 0, this.#end)
    for (let at = 0; at + slotBytes <= bytes.length; at += slotBytes) visit(at, bytes.subarray(at, at + slotBytes))
  }
}
