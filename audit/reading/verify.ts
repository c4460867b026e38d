import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseVerifierKey, type TreeHead, verifyCheckpoint } from '../tree/checkpoint.js'
import { decodeEntry } from '../entries/entry.js'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { hashBytes, hashLeaf } from '../tree/merkle.js'
import { TiledTree, type TreeFile } from '../tree/tiled-tree.js'
import { bundlePath, entriesOf, hashesOf, tilePath, tileWidth } from '../tree/tiles.js'
import { listSegments, orNothing, readWal } from '../writing/wal.js'

export interface VerifyReport {
  readonly ok: boolean
  /** How many entries the checkpoint covers. */
  readonly size: number
  /** Lowercase hex; the Merkle root that the checkpoint names. */
  readonly root: string
  /** The first entry that is not what was signed, and what is wrong there; 0 where nothing can be trusted. */
  readonly firstBad?: { readonly index: number; readonly what: string }
  /** Whole records above the checkpoint: they are there, but nothing signed vouches for them yet. */
  readonly uncovered: number
}

export interface VerifyOptions {
  /** Called after each bundle with how many of the covered entries were checked. */
  readonly onProgress?: (checked: number, size: number) => void
}

/**
 * Checks a log's folder as a third party would, with nothing but the verifier key: the signature, every entry against
 * its place and its hash, every tile, and the root. Works while the log grows. Damage is in the report, not thrown.
 * @throws AuditError AUDIT_INVALID for a text that is no verifier key
 */
export async function verifyLog(
  directory: string,
  verifierKey: string,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  parseVerifierKey(verifierKey)
  const checked = new CheckedBundles(layout.log(directory), options)
  for (let note = await readNote(directory); ;) {
    const report = await verifyAt(directory, note, verifierKey, checked)
    if (report.ok) return report
    // A newer checkpoint takes the older one's partial files away: go on to its end, unless nothing has changed.
    const newer = await readNote(directory)
    if (newer === note) return report
    note = newer
  }
}

async function verifyAt(
  directory: string,
  note: string,
  verifierKey: string,
  checked: CheckedBundles,
): Promise<VerifyReport> {
  let head: TreeHead = { origin: '', size: 0, root: new Uint8Array() }
  let uncovered = 0
  let firstBad: VerifyReport['firstBad']
  try {
    head = verifyHead(note, verifierKey)
    await checked.growTo(head)
    uncovered = await countUncovered(layout.wal(directory), head.size)
  } catch (error) {
    if (!(error instanceof AuditError)) throw error
    firstBad = { index: error.sequence ?? 0, what: error.message }
  }
  const root = Buffer.from(head.root).toString('hex')
  return { ok: firstBad === undefined, size: head.size, root, ...(firstBad && { firstBad }), uncovered }
}

function verifyHead(note: string, verifierKey: string): TreeHead {
  try {
    return verifyCheckpoint(note, verifierKey)
  } catch (cause) {
    throw bad(0, `log/checkpoint: ${cause instanceof Error ? cause.message : 'unreadable'}`)
  }
}

/**
 * Builds the tree again from the entries alone; every file that this gives must be the one on disk. No checkpoint changes
 * complete bundles and tiles: they are read once, however many checkpoints are made meanwhile.
 */
class CheckedBundles {
  readonly #folder: string
  readonly #onProgress: (checked: number, size: number) => void
  readonly #complete = new TiledTree()
  readonly #tilesToCheck: TreeFile[] = []

  constructor(folder: string, { onProgress = () => undefined }: VerifyOptions) {
    this.#folder = folder
    this.#onProgress = onProgress
  }

  /** @throws AuditError AUDIT_CORRUPT naming the first entry that is not what was signed */
  async growTo({ size, root }: TreeHead): Promise<void> {
    while (size - this.#complete.size >= tileWidth) {
      await this.#grow(this.#complete, size)
      this.#tilesToCheck.push(...this.#complete.takeComplete())
      await this.#checkTiles()
    }
    await this.#checkTiles()
    const tree = this.#complete.copy()
    if (tree.size < size) await this.#grow(tree, size)
    for (const file of tree.partials()) await verifyUpperTile(this.#folder, file)
    if (!Buffer.from(root).equals(tree.root()))
      throw bad(0, 'entries and tiles agree, but the root that was signed is another')
  }

  async #grow(tree: TiledTree, size: number): Promise<void> {
    await growByBundle(tree, this.#folder, size)
    this.#onProgress(tree.size, size)
  }

  /** One that does not hold stays first in line. */
  async #checkTiles(): Promise<void> {
    for (let [file] = this.#tilesToCheck; file; [file] = this.#tilesToCheck) {
      await verifyUpperTile(this.#folder, file)
      this.#tilesToCheck.shift()
    }
  }
}

/** In the order of the entries, so that the first bad one is the one that is named. */
async function growByBundle(tree: TiledTree, folder: string, size: number): Promise<void> {
  const first = tree.size
  const index = first / tileWidth
  const width = Math.min(tileWidth, size - first)
  const bundle = await readOrEmpty(folder, bundlePath(index, width))
  const tile = await readOrEmpty(folder, tilePath(0, index, width))
  const hashes = hashesOf(tile)
  let used = 0
  for (const entry of entriesOf(bundle)) {
    const hash = hashes[tree.size - first]
    if (hash === undefined) break
    if (hashLeaf(entry) !== hash) throw bad(tree.size, 'the entry is not the one that was hashed')
    requirePlace(entry, tree.size)
    tree.append(entry)
    used += 2 + entry.length
  }
  if (tree.size < first + width) throw bad(tree.size, `${bundlePath(index, width)} or its hashes are missing or cut`)
  if (used < bundle.length) throw bad(tree.size, `${bundlePath(index, width)} holds more than its entries`)
  if (tile.length > width * hashBytes) throw bad(tree.size, `${tilePath(0, index, width)} holds more than its hashes`)
}

async function verifyUpperTile(folder: string, { path, bytes, first, each }: TreeFile): Promise<void> {
  if (each === 1) return // entries and their hashes were compared one by one
  const tile = await readOrEmpty(folder, path)
  if (tile.equals(bytes)) return
  const onDisk = hashesOf(tile)
  const wrong = hashesOf(bytes).findIndex((hash, at) => hash !== onDisk[at])
  throw bad(first + Math.max(wrong, 0) * each, `${path} does not hold the hashes of the tiles below it`)
}

/** Records of the write-ahead log must be whole, follow each other, and leave no gap above the checkpoint. */
async function countUncovered(folder: string, covered: number): Promise<number> {
  const [oldest] = await listSegments(folder)
  if (oldest && oldest.first > covered) throw bad(covered, `wal/${oldest.name} begins after the checkpoint's end`)
  let uncovered = 0
  for await (const { sequence, entry } of readWal(folder)) {
    requirePlace(entry, sequence)
    if (sequence >= covered) uncovered++
  }
  return uncovered
}

function requirePlace(entry: Uint8Array, index: number): void {
  try {
    const { sequence } = decodeEntry(entry)
    if (sequence !== index) throw bad(index, `the entry says that it is number ${sequence}`)
  } catch (cause) {
    throw cause instanceof AuditError && cause.sequence === undefined ? bad(index, cause.message) : cause
  }
}

async function readNote(directory: string): Promise<string> {
  return await readFile(layout.checkpoint(directory), 'utf8').catch(orNothing(''))
}

async function readOrEmpty(folder: string, path: string): Promise<Buffer> {
  return await readFile(join(folder, path)).catch(orNothing(Buffer.alloc(0)))
}

function bad(sequence: number, what: string): AuditError {
  return new AuditError('AUDIT_CORRUPT', what, { sequence })
}
