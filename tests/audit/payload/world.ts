import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type AuditLog, type AuditLogOptions, PayloadArchive, type PayloadOptions } from '#audit'
import type { AuditRecord, DeviceId } from '#protocol'
import { orNothing } from '../../../audit/or-nothing.js'
import { createWorld, device, type Published, published, type World } from '../world.js'

/** Of the world's clock, and as days since 1970. */
export const today = '2023-11-14'
export const todayNumber = 19_675
export const dayMilliseconds = 86_400_000

export interface PayloadWorld extends World {
  readonly keyFolder: string
  /** Opens the log with payloads as they are to be treated. */
  openWith(payload: Partial<PayloadOptions>, options?: Partial<AuditLogOptions>): Promise<AuditLog>
  archiveOf(log: AuditLog): PayloadArchive
  /** Whether some file of the log, or of the keys, holds these bytes. */
  holds(bytes: Buffer): Promise<boolean>
}

export async function createPayloadWorld(context: TestContext): Promise<PayloadWorld> {
  const world = await createWorld(context)
  const keyFolder = join(world.directory, 'payload-keys')
  return {
    ...world,
    keyFolder,
    openWith: (payload, options) => world.open({ ...options, payload: { mode: 'commit', keyFolder, ...payload } }),
    archiveOf: (log) => {
      return new PayloadArchive({ directory: world.directory, keyFolder, recordAt: (at) => recordAt(log, at) })
    },
    async holds(bytes) {
      assert.ok(bytes.length >= 8, 'anything shorter may be there by chance')
      for (const path of await readdir(world.directory, { recursive: true, withFileTypes: true })) {
        if (!path.isFile()) continue
        const content = await readFile(join(path.parentPath, path.name)).catch(orNothing(Buffer.alloc(0))) // partial tiles go
        if (content.includes(bytes)) return true
      }
      return false
    },
  }
}

/** What a device says, as it is appended. */
export function said(text: string, by: DeviceId = device): readonly [Published, Buffer] {
  const payload = Buffer.from(text)
  return [published(0, { device: by, size: payload.length }), payload]
}

async function recordAt(log: AuditLog, sequence: number): Promise<AuditRecord | undefined> {
  for await (const record of log.records(sequence)) return record
  return undefined
}
