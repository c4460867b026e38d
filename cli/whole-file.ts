import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CliError } from './errors.js'
import { cannotWrite } from './named-files.js'

/** A new file for its owner alone, which has another name until all of it is there and on disk. */
export class WholeFile {
  readonly #path: string
  readonly #partPath: string
  readonly #file: FileHandle
  readonly #hash = createHash('sha256')
  #bytes = 0

  private constructor(path: string, partPath: string, file: FileHandle) {
    this.#path = path
    this.#partPath = partPath
    this.#file = file
  }

  /** @throws CliError CANNOT_WRITE, also where something of that name is there */
  static async create(path: string): Promise<WholeFile> {
    if (existsSync(path)) {
      throw new CliError('CANNOT_WRITE', `${path} is there already, and stays as it is: choose another name`)
    }
    const partPath = join(dirname(path), `.${basename(path)}.${process.pid}.part`)
    try {
      return new WholeFile(path, partPath, await open(partPath, 'wx', 0o600))
    } catch (cause) {
      throw cannotWrite(partPath, cause)
    }
  }

  /** Gives on what it has written. @throws CliError CANNOT_WRITE; the signal's reason */
  async *keep(pieces: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer, void> {
    for await (const piece of pieces) {
      signal.throwIfAborted()
      await this.#write(() => this.#file.writeFile(piece)) // where the one before has ended
      this.#hash.update(piece)
      this.#bytes += piece.length
      yield piece
    }
  }

  /** Synced, then renamed, then the name is synced. @throws CliError CANNOT_WRITE */
  async complete(): Promise<{ readonly bytes: number; readonly sha256: string }> {
    await this.#write(async () => {
      await this.#file.sync()
      await rename(this.#partPath, this.#path)
      const folder = await open(dirname(this.#path))
      await folder.sync().finally(() => folder.close())
    })
    return { bytes: this.#bytes, sha256: this.#hash.digest('hex') }
  }

  /** Whatever has come of it: nothing is left behind under the other name. */
  async leave(): Promise<void> {
    await this.#file.close()
    await rm(this.#partPath, { force: true })
  }

  async #write(act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (cause) {
      throw cannotWrite(this.#path, cause)
    }
  }
}
