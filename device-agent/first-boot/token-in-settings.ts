import { constants } from 'node:fs'
import { chown, type FileHandle, open, readFile } from 'node:fs/promises'
import { messageOf } from '#protocol'
import { nodeDisk } from '../disk.js'
import { overwrite } from './secret-file.js'

/** Takes the token out of the settings and leaves the rest as it says it. Undefined when done, else why not. */
export async function takeTokenFrom(path: string): Promise<string | undefined> {
  let file: FileHandle | undefined
  try {
    const settings: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (typeof settings !== 'object' || settings === null || !('token' in settings)) return undefined
    const { token: _, ...rest } = settings
    file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW)
    const { uid, gid, mode } = await file.stat()
    // The new file takes the place of the old before that is written over: whatever happens, there are settings.
    await nodeDisk.write(path, `${JSON.stringify(rest, undefined, 2)}\n`, mode & 0o777)
    await chown(path, uid, gid)
    await overwrite(file)
    return undefined
  } catch (error) {
    return messageOf(error)
  } finally {
    await file?.close()
  }
}
