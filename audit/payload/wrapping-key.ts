import { randomBytes } from 'node:crypto'
import { closeSync, fdatasyncSync, fstatSync, fsyncSync, openSync, renameSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { AuditError } from '../errors.js'
import { syncFolderNow } from '../sync-folder.js'
import { dayOf, parseDay } from './day.js'
import { makeFolderNow, namesIn, openIfThere, payloadLayout, readAt, writeAllAt } from './files.js'
import type { PayloadOptions } from './options.js'

/*
 * The key-encryption key of a day: 32 random bytes in a file of their own, outside the folder of the log and outside its
 * backups. Whoever has it not can open nothing of that day.
 */

const wrappingKeyBytes = 32

/**
 * For a log that is about to be opened: the first message of a day whose key is damaged would be its end. Asked are
 * all days that can come while it runs: also those to come, which a clock that was ahead can have begun, and yesterday,
 * where one is again that is set back over midnight. What is wrong with older ones is told to who asks for their payloads.
 * @throws AuditError AUDIT_CORRUPT
 */
export function requireSoundKeys(payload: PayloadOptions | undefined, now: number): void {
  if (!payload || payload.mode === 'none') return
  const days = namesIn(payload.keyFolder).flatMap((name) => dayOfKey(name) ?? [])
  for (const day of days) if (day >= dayOf(now) - 1) readWrappingKey(payloadLayout.wrappingKey(payload.keyFolder, day))
}

/** @returns undefined for what is no name of a day's key */
function dayOfKey(name: string): number | undefined {
  return name.endsWith('.key') ? parseDay(name.slice(0, -'.key'.length)) : undefined
}

/** @returns undefined when there is none. @throws AuditError AUDIT_CORRUPT */
export function readWrappingKey(path: string): Buffer | undefined {
  const file = openIfThere(path, 'r')
  if (file === undefined) return undefined
  try {
    const key = readAt(file, 0, wrappingKeyBytes + 1)
    if (key.length === wrappingKeyBytes) return key
    throw new AuditError(
      'AUDIT_CORRUPT',
      `${path}: expected the ${wrappingKeyBytes} bytes of a day's key, got ${key.length > wrappingKeyBytes ? 'more' : key.length}; ` +
        'bring the file back, or move it away: a new key is made, and what the day has said up to now stays closed',
    )
  } finally {
    closeSync(file)
  }
}

export function createWrappingKey(): Buffer {
  return randomBytes(wrappingKeyBytes)
}

/** Durable, and readable for its owner only, when it returns. */
export function keepWrappingKey(path: string, key: Uint8Array): void {
  makeFolderNow(dirname(path))
  const file = openSync(`${path}.new`, 'w', 0o600)
  try {
    writeAllAt(file, key, 0)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(`${path}.new`, path)
  syncFolderNow(dirname(path))
}

/** Overwrites the key where it lies, and then takes its name away. @returns whether there was one */
export function destroyWrappingKey(path: string): boolean {
  const file = openIfThere(path, 'r+')
  if (file === undefined) return false
  try {
    writeAllAt(file, randomBytes(Math.max(fstatSync(file).size, wrappingKeyBytes)), 0)
    fdatasyncSync(file)
  } finally {
    closeSync(file)
  }
  unlinkSync(path)
  syncFolderNow(dirname(path))
  return true
}
