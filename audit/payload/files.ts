import { mkdirSync, openSync, readdirSync, readSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { orNothing } from '../or-nothing.js'
import { syncFolderNow } from '../sync-folder.js'
import { formatDay } from './day.js'

/** Where payloads' keys and, if they are kept, payloads themselves lie. */
export const payloadLayout = {
  folder: (directory: string) => join(directory, 'payload'),
  day: (directory: string, day: number) => join(directory, 'payload', formatDay(day)),
  keys: (directory: string, day: number) => join(directory, 'payload', formatDay(day), 'keys'),
  wrappingKey: (keyFolder: string, day: number) => join(keyFolder, `${formatDay(day)}.key`),
}

/** Only for its owner, with the folders above it; durable when it returns. */
export function makeFolderNow(path: string): void {
  const outermost = mkdirSync(path, { recursive: true, mode: 0o700 })
  for (let made = path; outermost !== undefined; made = dirname(made)) {
    syncFolderNow(dirname(made))
    if (made === outermost || made === dirname(made)) break
  }
}

/** For a file that may rightly not be there. */
export function openIfThere(path: string, flags: 'r' | 'r+'): number | undefined {
  try {
    return openSync(path, flags)
  } catch (error) {
    return orNothing(undefined)(error)
  }
}

/** In a folder that may rightly not be there. */
export function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    return orNothing([])(error)
  }
}

export function writeAllAt(file: number, bytes: Uint8Array, at: number): void {
  for (let written = 0; written < bytes.length;) {
    written += writeSync(file, bytes, written, bytes.length - written, at + written)
  }
}

/** As many bytes as asked for, or all there are. */
export function readAt(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let read = 0
  for (let more = -1; more !== 0 && read < length; read += more)
    more = readSync(file, bytes, read, length - read, at + read)
  return bytes.subarray(0, read)
}
