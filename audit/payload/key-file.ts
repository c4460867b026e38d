import { randomBytes } from 'node:crypto'
import { closeSync, fdatasyncSync, fstatSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DayKey, dayKeyBytes } from './day-key.js'
import { makeFolderNow, openIfThere, payloadLayout, readAt, syncFolderNow, writeAllAt } from './files.js'
import { decodeSlot, encodeSlot, erased, isErased, sealedAt, slotBytes, unwrapSlot } from './key-slot.js'
import { destroyWrappingKey, makeWrappingKey, readWrappingKey } from './wrapping-key.js'

export interface KeyFolders {
  /** Of the log; the wrapped keys lie in it. */
  readonly directory: string
  /** Of the keys that wrap them; outside the log's folder and its backups. */
  readonly keyFolder: string
}

/** So many devices' keys of a day lie ready in memory, about 1 KiB each; those of others are read again. */
export const maxReadyKeys = 16_384

/** The keys of all devices for one day, as the writer's thread makes and uses them. */
export class KeyFile {
  readonly #day: number
  readonly #file: number
  readonly #wrappingKeyPath: string
  /** Read, or made, when a device's key is asked for: who erases needs none. */
  #wrappingKey: Buffer | undefined
  /** The newest slot of each device; as many as there are devices. */
  readonly #newest = new Map<string, { readonly at: number; readonly from: number }>()
  readonly #ready = new Map<string, DayKey>()
  /** Where the next slot goes. */
  #end: number
  #pending: Buffer[] = []

  private constructor(folders: KeyFolders, day: number, file: number) {
    this.#day = day
    this.#file = file
    this.#wrappingKeyPath = payloadLayout.wrappingKey(folders.keyFolder, day)
    // An incomplete last slot was never synced, so nothing goes by it: the next one is written over it.
    this.#end = Math.floor(fstatSync(file).size / slotBytes) * slotBytes
    this.#eachSlot((at, bytes) => {
      const slot = decodeSlot(bytes)
      if (slot) this.#newest.set(slot.device, { at, from: slot.from })
    })
  }

  static openOrMake(folders: KeyFolders, day: number): KeyFile {
    const there = KeyFile.openIfThere(folders, day)
    if (there) return there
    const path = payloadLayout.keys(folders.directory, day)
    makeFolderNow(dirname(path))
    const file = openSync(path, 'wx+', 0o600)
    syncFolderNow(dirname(path))
    return new KeyFile(folders, day, file)
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
    const slots = Buffer.concat(this.#pending)
    writeAllAt(this.#file, slots, this.#end - slots.length)
    fdatasyncSync(this.#file)
    this.#pending = []
  }

  /** Overwrites the keys of a device, or of all, where they lie; durable when it returns. @returns how many there were */
  erase(device?: string): number {
    this.sync()
    if (device === undefined) {
      destroyWrappingKey(this.#wrappingKeyPath)
      this.#wrappingKey = undefined
    }
    let count = 0
    this.#eachSlot((at, bytes) => {
      if (isErased(bytes) || (device !== undefined && decodeSlot(bytes)?.device !== device)) return
      writeAllAt(this.#file, erased, at + sealedAt)
      count++
    })
    fdatasyncSync(this.#file)
    if (device === undefined) this.#ready.clear()
    else this.#ready.delete(device)
    return count
  }

  close(): void {
    closeSync(this.#file)
  }

  #makeReady(device: string, sequence: number): DayKey {
    const key = new DayKey(this.#read(device, sequence) ?? this.#make(device, sequence))
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
    this.sync()
    return unwrapSlot(this.#wrappingKey, this.#day, readAt(this.#file, slot.at, slotBytes))
  }

  #make(device: string, sequence: number): Buffer {
    this.#wrappingKey ??= readWrappingKey(this.#wrappingKeyPath) ?? makeWrappingKey(this.#wrappingKeyPath)
    const dayKey = randomBytes(dayKeyBytes)
    this.#pending.push(encodeSlot(this.#wrappingKey, this.#day, { device, from: sequence }, dayKey))
    this.#newest.set(device, { at: this.#end, from: sequence })
    this.#end += slotBytes
    return dayKey
  }

  #eachSlot(visit: (at: number, bytes: Buffer) => void): void {
    const bytes = readAt(this.#file, 0, this.#end)
    for (let at = 0; at + slotBytes <= bytes.length; at += slotBytes) visit(at, bytes.subarray(at, at + slotBytes))
  }
}
