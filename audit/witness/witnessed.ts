import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { rootOfRange, TileNodes } from '../proof/nodes.js'
import { parseCheckpoint, type TreeHead } from '../tree/checkpoint.js'
import { Frontier, type Hash } from '../tree/merkle.js'
import type { VerifierKey } from '../tree/note.js'
import { createDisk } from '../writing/disk.js'
import { orNothing } from '../or-nothing.js'

/*
 * `log/witnessed/<key id>`: of each witness the newest checkpoint that it has cosigned, with the signatures of both.
 * It goes with the log to whoever checks it.
 */

export interface Witnessed {
  /** Within `log/`. */
  readonly path: string
  readonly note: string
  readonly head: TreeHead
}

/** @throws AuditError AUDIT_CORRUPT for one that is no checkpoint */
export async function readWitnessed(directory: string): Promise<readonly Witnessed[]> {
  const folder = layout.witnessed(directory)
  const names = (await readdir(folder).catch(orNothing([]))).filter((name) => /^[0-9a-f]{8}$/.test(name))
  return await Promise.all(
    names.sort().map(async (name) => {
      const note = await readFile(join(folder, name), 'utf8')
      const path = `witnessed/${name}`
      return { path, note, head: parse(note, path) }
    }),
  )
}

/** What this witness has cosigned last. */
export async function readWitnessedBy(directory: string, witness: VerifierKey): Promise<string | undefined> {
  return await readFile(fileOf(directory, witness), 'utf8').catch(orNothing(undefined))
}

/** Durable when it resolves. */
export async function keepWitnessed(directory: string, witness: VerifierKey, note: string): Promise<void> {
  const disk = createDisk()
  await disk.makeFolder(layout.witnessed(directory))
  await disk.replaceFile({ path: fileOf(directory, witness), bytes: Buffer.from(note) })
}

/** @throws AuditError AUDIT_ROLLED_BACK when the log does not contain what witnesses have cosigned of it */
export async function requireWitnessed(directory: string): Promise<void> {
  for (const { path, head } of await readWitnessed(directory)) {
    await requireContained(directory, head, `log/${path}`)
  }
}

/**
 * That the log, as far as its newest checkpoint covers it, begins with this tree.
 * @throws AuditError AUDIT_ROLLED_BACK, saying who holds the other checkpoint
 */
export async function requireContained(directory: string, { size, root }: TreeHead, holder: string): Promise<void> {
  const covered = await readFile(layout.checkpoint(directory), 'utf8').then(
    (note) => parse(note, 'checkpoint').size,
    orNothing(0),
  )
  if (size > covered) {
    throw rolledBack(`${holder} has a checkpoint of ${size} records, the log here is signed up to ${covered}`)
  }
  if ((await rootAt(directory, size)) !== Buffer.from(root).toString('latin1'))
    throw rolledBack(
      `${holder} has a checkpoint of ${size} records with another root than the log here has at that size`,
    )
}

async function rootAt(directory: string, size: number): Promise<Hash> {
  return size === 0 ? new Frontier().root() : await rootOfRange(0, size, new TileNodes(directory).read)
}

function parse(note: string, path: string): TreeHead {
  try {
    return parseCheckpoint(note)
  } catch (cause) {
    throw new AuditError('AUDIT_CORRUPT', `log/${path} is not a checkpoint`, { cause })
  }
}

function fileOf(directory: string, { keyId }: VerifierKey): string {
  return join(layout.witnessed(directory), keyId.toString('hex'))
}

function rolledBack(problem: string): AuditError {
  const advice = 'it was put back from an older copy, or has parted from what was shown'
  return new AuditError('AUDIT_ROLLED_BACK', `${problem}: ${advice}`)
}
