import { rm } from 'node:fs/promises'
import { AuditLog, beginWal, copyWal, LogCopy, verifyLog, type VerifyReport } from '#audit'
import { BackupError, isLogName, isRowsName, logPrefix, type Manifest, readBackup, unpackRows } from '#backup'
import type { DeviceId } from '#protocol'
import { Registry } from '#registry'
import { openLevelStore, type Store } from '#store'
import { auditOrigin, CheckpointKeys } from '../checkpoint-keys.js'
import { parseConfigFile } from '../config-file.js'
import { ServerError } from '../errors.js'
import { readIfThere } from '../files.js'
import { closeDoors, type Closed } from './closed-doors.js'
import { lostPolicies } from './lost-policies.js'
import { NewFiles } from './new-files.js'
import { RestoringFolder } from './restoring.js'

export interface RestoreOrder {
  readonly backup: AsyncIterable<Uint8Array>
  /** Empty, or not there. */
  readonly dataFolder: string
  /** Holds `log/` of the same audit log, newer than the backup, and its `wal/` where there is one. */
  readonly newerLog?: string
  /** Devices that were revoked after the backup, as far as somebody remembers. */
  readonly revoked: readonly DeviceId[]
  /** Whether everybody else comes in whom the backup lets in, although nothing newer is known. */
  readonly admit: boolean
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export interface Restored extends Closed {
  readonly manifest: Manifest
  /** Of the audit log, before the restore was recorded in it. */
  readonly records: number
}

/**
 * Makes a data folder out of a backup: unpacks it, holds its log against its checkpoint, brings the log up to a newer
 * copy, and before anybody can come in, shuts out whom it cannot vouch for. All of it, or an empty folder.
 * @throws ServerError RESTORE_NOT_EMPTY, RESTORE_LOG_UNFIT, FOLDER_UNUSABLE; BackupError; AuditError; StoreError; RegistryError
 */
export async function restore(order: RestoreOrder): Promise<Restored> {
  const folder = await RestoringFolder.claim(order.dataFolder)
  try {
    const restored = await restoreInto(folder, order)
    await folder.complete()
    return restored
  } catch (error) {
    await folder.abandon().catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

async function restoreInto(folder: RestoringFolder, order: RestoreOrder): Promise<Restored> {
  const store = await openLevelStore(folder.inside('store')) // and with it the folder: nobody starts there meanwhile
  try {
    const manifest = await unpack(order.backup, folder, store)
    const origin = auditOrigin(manifest.trustDomain)
    const keys = await CheckpointKeys.open({ folder: folder.inside('keys'), origin, now: order.now })
    await bringLog(folder, manifest, keys.everKnown, order.newerLog)
    const directory = folder.inside('audit')
    const audit = await AuditLog.open({ directory, origin, now: order.now, ...keys.signing })
    try {
      return await shutOut(folder, { store, audit }, manifest, order)
    } finally {
      await audit.close()
    }
  } finally {
    await store.close()
  }
}

async function unpack(backup: AsyncIterable<Uint8Array>, folder: RestoringFolder, store: Store): Promise<Manifest> {
  const { manifest, members } = await readBackup(backup)
  const files = new NewFiles()
  for await (const member of members) {
    if (isRowsName(member.name)) await store.commit({ puts: unpackRows(member) })
    else await files.write(folder.inside(member.name), member.bytes, modesOf(member.name))
  }
  await files.settle(folder.path)
  return manifest
}

/** The log of the backup is the one that its checkpoint says, and where a newer one is given that begins with it. */
async function bringLog(
  folder: RestoringFolder,
  { checkpoint, treeSize }: Manifest,
  verifierKeys: readonly string[],
  newerLog: string | undefined,
): Promise<void> {
  const directory = folder.inside('audit')
  const own = await verifyLog(directory, verifierKeys, { against: [checkpoint] })
  if (!own.ok || own.size !== treeSize) throw new BackupError('BACKUP_INVALID', `its audit log: ${wrongWith(own)}`)
  if (newerLog === undefined) return await beginWal(directory)

  const newer = await verifyLog(newerLog, verifierKeys, { against: [checkpoint] })
  if (!newer.ok) throw unfit(newerLog, wrongWith(newer))
  if (newer.size + newer.uncovered <= treeSize) throw unfit(newerLog, 'it has no record that the backup does not have')
  await rm(folder.inside('audit', 'log'), { recursive: true })
  const files = new NewFiles()
  for await (const { path, bytes } of (await LogCopy.ofFolder(newerLog)).files()) {
    const name = `${logPrefix}${path}`
    await files.write(folder.inside(name), bytes, modesOf(name))
  }
  await files.settle(folder.path)
  if (!(await copyWal(newerLog, directory))) await beginWal(directory)
}

async function shutOut(
  folder: RestoringFolder,
  { store, audit }: { readonly store: Store; readonly audit: AuditLog },
  manifest: Manifest,
  { newerLog, revoked, admit, now }: RestoreOrder,
): Promise<Restored> {
  const records = audit.size
  const registry = await Registry.open({ store, audit, replay: (from) => audit.records(from), now })
  await registry.recordRestore(manifest)
  const unknown = newerLog === undefined ? unknownSince(manifest) : await lostPolicies(store, audit, manifest.treeSize)
  const config = await readIfThere(folder.inside('touchmark.yaml'))
  const profiles = config === undefined ? [] : profilesIn(config)
  return {
    manifest,
    records,
    ...(await closeDoors(registry, { revoked, profiles, reason: admit ? undefined : unknown })),
  }
}

function unknownSince({ at }: Manifest): string {
  return `restored from a backup of ${new Date(at).toISOString()}: who was locked or revoked after it is not known here`
}

function profilesIn(config: Buffer): readonly string[] {
  return Object.keys(parseConfigFile(config.toString(), 'touchmark.yaml').profiles ?? {})
}

/** Third parties read the log, as they do where it was first written. */
function modesOf(name: string): { readonly mode?: number; readonly folderMode?: number } {
  return isLogName(name) ? { mode: 0o644, folderMode: 0o755 } : {}
}

function wrongWith({ firstBad, against: [first] }: VerifyReport): string {
  return firstBad ? `record ${firstBad.index}: ${firstBad.what}` : (first?.what ?? 'it is another one')
}

function unfit(folder: string, problem: string): ServerError {
  return new ServerError('RESTORE_LOG_UNFIT', `${folder} is no newer copy of the log in the backup: ${problem}`)
}
