import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { LogReader } from '../reading/reader.js'
import { readTextFile } from '../text-file.js'
import { encodeMinimum, readMinimum } from '../retention/minimum.js'
import { parseCheckpoint, type TreeHead } from '../tree/checkpoint.js'
import { bundlePath, tilePath, tileWidth } from '../tree/tiles.js'
import { requireRoot, treeAt } from '../tree/tree-at.js'
import { readWitnessed } from '../witness/witnessed.js'
import type { NewFile } from '../writing/disk.js'

/**
 * What a third party gets of a log, as one checkpoint has it, whatever newer ones do to the files meanwhile: complete
 * files never change, and the partial ones are made again.
 */
export class LogCopy {
  readonly #directory: string
  readonly #head: TreeHead
  /** The signed note. */
  readonly checkpoint: string

  /** Of a log that nobody writes to. @throws AuditError AUDIT_CORRUPT, AUDIT_INVALID */
  static async ofFolder(directory: string): Promise<LogCopy> {
    const note = await readTextFile(layout.checkpoint(directory), 'log/checkpoint')
    if (note === undefined) throw new AuditError('AUDIT_CORRUPT', 'log/ has no checkpoint')
    return new LogCopy(directory, note)
  }

  /** Of the log in a folder, by a checkpoint that it has, or had. @throws AuditError AUDIT_INVALID for what is none */
  constructor(directory: string, checkpoint: string) {
    this.#directory = directory
    this.#head = parseCheckpoint(checkpoint)
    this.checkpoint = checkpoint
  }

  /** Records that it covers. */
  get size(): number {
    return this.#head.size
  }

  /** Paths are those within `log/`. The checkpoint comes last. @throws AuditError AUDIT_CORRUPT, AUDIT_GONE */
  async *files(): AsyncGenerator<NewFile, void> {
    const minimum = await readMinimum(this.#directory)
    if (minimum) yield { path: 'minimum', bytes: encodeMinimum(minimum) }
    yield* this.#bundles((minimum?.index ?? 0) / tileWidth)
    yield* this.#tiles()
    yield* await this.#partials()
    yield* await this.#witnessed()
    yield { path: 'checkpoint', bytes: Buffer.from(this.checkpoint) }
  }

  async *#bundles(from: number): AsyncGenerator<NewFile, void> {
    const end = Math.floor(this.size / tileWidth)
    for (let index = from; index < end; index++) yield await this.#read(bundlePath(index))
  }

  async *#tiles(): AsyncGenerator<NewFile, void> {
    for (let level = 0; tileWidth ** (level + 1) <= this.size; level++) {
      const end = Math.floor(this.size / tileWidth ** (level + 1))
      for (let index = 0; index < end; index++) yield await this.#read(tilePath(level, index))
    }
  }

  async #partials(): Promise<readonly NewFile[]> {
    const start = this.size - (this.size % tileWidth)
    const tree = await treeAt(this.#directory, start)
    for (const entry of await new LogReader(this.#directory).entries(start, this.size - 1)) tree.append(entry)
    requireRoot(tree, this.#head)
    return tree.partials()
  }

  /** What witnesses have cosigned since speaks of more than is here. */
  async #witnessed(): Promise<readonly NewFile[]> {
    const all = await readWitnessed(this.#directory)
    return all
      .filter(({ head }) => head.size <= this.size)
      .map(({ path, note }) => ({ path, bytes: Buffer.from(note) }))
  }

  async #read(path: string): Promise<NewFile> {
    try {
      return { path, bytes: await readFile(join(layout.log(this.#directory), path)) }
    } catch (cause) {
      throw new AuditError('AUDIT_CORRUPT', `cannot read ${path}`, { cause })
    }
  }
}
