import { constants } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { cannotWrite } from '../named-files.js'

/** No line is longer: a record has 64 KiB, and none of its bytes becomes more than six. */
const longestLine = 1024 * 1024

/**
 * A file that grows under another name, line by line, and takes its own when it is complete: whoever finds the name finds
 * all of it. What was begun and broken off is gone on with, behind its last whole line.
 */
export class PartFile {
  readonly #path: string
  readonly #partPath: string
  readonly #file: FileHandle
  #bytes: number

  private constructor(path: string, partPath: string, file: FileHandle, bytes: number) {
    this.#path = path
    this.#partPath = partPath
    this.#file = file
    this.#bytes = bytes
  }

  /** `kind` tells files apart that were begun for something else under the same name. @throws CliError CANNOT_WRITE */
  static async open(path: string, kind: string): Promise<PartFile> {
    const partPath = `${path}.${kind}.part`
    // Never through a link that somebody has laid there.
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
    try {
      const file = await open(partPath, flags, 0o600)
      return new PartFile(path, partPath, file, (await file.stat()).size)
    } catch (cause) {
      throw cannotWrite(partPath, cause)
    }
  }

  get path(): string {
    return this.#partPath
  }

  /** The last whole line; what stands behind it, or all where there is none that fits, is cut off. */
  async lastLine(fits: (line: string) => boolean): Promise<string | undefined> {
    const length = Math.min(this.#bytes, 2 * longestLine)
    const { buffer } = await this.#file.read(Buffer.alloc(length), 0, length, this.#bytes - length)
    const end = buffer.lastIndexOf('\n') + 1
    const begin = end < 2 ? 0 : buffer.lastIndexOf('\n', end - 2) + 1
    const line = buffer.toString('utf8', begin, Math.max(begin, end - 1))
    const isWhole = end > 0 && fits(line)
    this.#bytes = isWhole ? this.#bytes - length + end : 0
    await this.#file.truncate(this.#bytes)
    return isWhole ? line : undefined
  }

  async append(text: string): Promise<void> {
    const bytes = Buffer.from(text)
    try {
      for (let at = 0; at < bytes.length;) {
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#bytes)
        at += bytesWritten
        this.#bytes += bytesWritten
      }
    } catch (cause) {
      throw cannotWrite(this.#partPath, cause)
    }
  }

  /** Synced, then renamed, then the name is synced. */
  async complete(): Promise<void> {
    try {
      await this.#file.sync()
      await this.#file.close()
      await rename(this.#partPath, this.#path)
      const folder = await open(dirname(this.#path))
      await folder.sync().finally(() => folder.close())
    } catch (cause) {
      throw cannotWrite(this.#path, cause)
    }
  }

  async leave(): Promise<void> {
    await this.#file.close()
  }
}
