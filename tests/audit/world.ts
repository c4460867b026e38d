import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type AuditEvent, parseDeviceId } from '#protocol'
import { AuditLog, type AuditLogOptions } from '#audit'
import { EntryBuffer } from '../../audit/entries/entry-buffer.js'
import { createDisk, type Disk } from '../../audit/writing/disk.js'
import type { ConnectWriter } from '../../audit/writing/writer-link.js'
import { WriterService } from '../../audit/writing/writer-service.js'
import { LogWriter } from '../../audit/writing/writer.js'

export const origin = 'touchmark.test/log'
export const device = parseDeviceId('sensor-7')

/** A folder that goes with the test, and a key; `open` opens the log there as often as the test likes. */
export interface World {
  readonly directory: string
  readonly signingKey: KeyObject
  open(options?: Partial<AuditLogOptions>): Promise<AuditLog>
}

export async function createWorld(context: TestContext): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'touchmark-audit-'))
  const logs: AuditLog[] = []
  context.after(async () => {
    await Promise.allSettled(logs.map((log) => log.close()))
    await rm(directory, { recursive: true, force: true })
  })
  const { privateKey: signingKey } = generateKeyPairSync('ed25519')
  const place = { directory, origin, signingKey }
  const defaults = { ...place, now: () => 1_700_000_000_000, reserveBytes: 64 * 1024 }
  return {
    directory,
    signingKey,
    async open(options) {
      const log = await AuditLog.open({ ...defaults, ...options })
      logs.push(log)
      return log
    },
  }
}

/** The writer without its thread, on a disk of the test's. */
export function inThisThread(disk: Disk): ConnectWriter {
  return (options, receive) => {
    const service = new WriterService(options, disk, (message) => setImmediate(() => receive(message)))
    return { send: (message) => service.handle(message) }
  }
}

export type Published = Extract<AuditEvent, { readonly event: 'message.publish' }>

/** The event of one message, as the broker writes it. */
export function published(sessionIndex: number, differently: Partial<Published> = {}): Published {
  return {
    event: 'message.publish',
    device,
    session: '5e55105e55105e551001',
    sessionIndex,
    topic: 'site/oslo/temperature',
    decision: 'allow',
    rules: ['sensor/telemetry'],
    policyVersion: 3,
    action: 'publish',
    qos: 1,
    retain: false,
    dup: false,
    messageId: 12,
    size: 20,
    recipients: 2,
    ...differently,
  }
}

export async function appendMany(log: AuditLog, count: number): Promise<void> {
  for (let index = 0; index < count; index++) log.append(published(index))
  await log.whenDurable(log.size - 1)
}

/** A log without its thread and its clock: a checkpoint is made when the test says so. */
export async function createWriter(context: TestContext) {
  const writers: LogWriter[] = []
  context.after(() => Promise.all(writers.map((writer) => writer.close()))) // before the world removes the folder
  const { directory, signingKey } = await createWorld(context)
  const { writer } = await LogWriter.open({ directory, origin, signingKey }, createDisk())
  writers.push(writer)
  let next = 0
  const append = (count: number): void => {
    writeMany(writer, next, count)
    next += count
  }
  return { directory, signingKey, writer, append }
}

export function writeMany(writer: LogWriter, first: number, count: number, differently: Partial<Published> = {}): void {
  const records = new EntryBuffer()
  for (let next = first; next < first + count; next++)
    records.add({ sequence: next, time: 0 }, published(next, differently))
  writer.write(Buffer.from(records.take().records))
  while (writer.grow());
}
