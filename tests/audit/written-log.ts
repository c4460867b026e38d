import { mkdtemp, rm } from 'node:fs/promises'
import { generateKeyPairSync } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditEvent, AuditRecord } from '#protocol'
import { EntryBuffer } from '../../audit/entries/entry-buffer.js'
import { createDisk } from '../../audit/writing/disk.js'
import { LogWriter } from '../../audit/writing/writer.js'
import { origin } from './world.js'

export interface WrittenLog {
  readonly directory: string
  readonly records: readonly AuditRecord[]
  readonly remove: () => Promise<void>
}

/** A log on disk without a thread, as large as its events; the last `uncovered` of them lie above its checkpoint. */
export async function writeLog(
  events: Iterable<{ readonly event: AuditEvent; readonly time: number }>,
  { uncovered = 0 } = {},
): Promise<WrittenLog> {
  const directory = await mkdtemp(join(tmpdir(), 'touchmark-search-'))
  const { privateKey: signingKey } = generateKeyPairSync('ed25519')
  const { writer } = await LogWriter.open({ directory, origin, signingKey }, createDisk())
  const records = [...events].map(({ event, time }, sequence): AuditRecord => ({ ...event, sequence, time }))
  const covered = records.length - uncovered
  for (const part of [records.slice(0, covered), records.slice(covered)]) {
    for (let at = 0; at < part.length; at += 4096) write(writer, part.slice(at, at + 4096))
    if (part[0]?.sequence === 0) await writer.checkpoint()
  }
  await writer.close()
  return { directory, records, remove: () => rm(directory, { recursive: true, force: true }) }
}

function write(writer: LogWriter, records: readonly AuditRecord[]): void {
  const buffer = new EntryBuffer()
  for (const { sequence, time, ...event } of records) buffer.add({ sequence, time }, event)
  writer.write(Buffer.from(buffer.take().records))
  while (writer.grow());
}
