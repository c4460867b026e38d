import { constants } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { isSystemError } from '../disk.js'
import { AgentError } from '../errors.js'

/** Far more than a token has; whatever goes on beyond is none. */
const maxBytes = 4096

export const readableByOthers = 0o044

export interface SecretFile {
  /** Without the space around it; may be empty. */
  readonly text: string
  /** Other users of this machine may read it. */
  readonly isOpenToOthers: boolean
}

/** Undefined where there is no such file. A pipe will do as well. @throws AgentError SETTINGS_INVALID */
export async function readSecretFile(path: string): Promise<SecretFile | undefined> {
  let file: FileHandle | undefined
  try {
    file = await open(path, constants.O_RDONLY)
    const stats = await file.stat()
    const text = await readAtMost(file, path)
    return { text: text.trim(), isOpenToOthers: stats.isFile() && (stats.mode & readableByOthers) !== 0 }
  } catch (cause) {
    if (isSystemError(cause) && cause.code === 'ENOENT') return undefined
    if (cause instanceof AgentError) throw cause
    throw new AgentError('SETTINGS_INVALID', `cannot read ${path}: ${reasonOf(cause)}`, { cause })
  } finally {
    await file?.close()
  }
}

async function readAtMost(file: FileHandle, path: string): Promise<string> {
  const content = Buffer.alloc(maxBytes + 1)
  let length = 0
  while (length < content.length) {
    const { bytesRead } = await file.read(content, length, content.length - length, null)
    if (bytesRead === 0) return content.toString('utf8', 0, length)
    length += bytesRead
  }
  throw new AgentError('SETTINGS_INVALID', `${path}: expected a token, got more than ${maxBytes} bytes`)
}

/**
 * Writes over a file and takes its name away. Undefined when that is done or nothing was there, else why it is not: a
 * medium that cannot be written must not keep a device from its work. Never through a link, and never a file with a
 * second name, because that may be somebody else's.
 */
export async function destroySecretFile(path: string): Promise<string | undefined> {
  let file: FileHandle | undefined
  try {
    file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const stats = await file.stat()
    if (!stats.isFile()) return 'it is no regular file'
    if (stats.nlink > 1) return 'it has a second name'
    await overwrite(file)
    await rm(path)
    return undefined
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined
    return isSystemError(error) && error.code === 'ELOOP' ? 'it is a symbolic link' : reasonOf(error)
  } finally {
    await file?.close()
  }
}

/** What a disk with a journal, or of flash, keeps of the old content is beyond any program. */
export async function overwrite(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  await file.write(Buffer.alloc(size), 0, size, 0)
  await file.sync()
}

function reasonOf(error: unknown): string {
  return isSystemError(error) ? (error.code ?? error.message) : String(error)
}
