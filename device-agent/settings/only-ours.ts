import { lstat, realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { AgentError } from '../errors.js'

const writableByOthers = 0o022
const sticky = 0o1000

/**
 * Refuses a file into which somebody else could put words: what it says is obeyed, down to the commands that it names.
 * Looks at the file and at every folder above it, on the path as it is given and on the one to which its links lead.
 * @throws AgentError SETTINGS_UNSAFE, and whatever `lstat` throws
 */
export async function requireOnlyOurs(path: string): Promise<void> {
  for (const place of new Set([...upwards(resolve(path)), ...upwards(await realpath(path))])) {
    const { uid, mode, isLink, isFolder } = await look(place)
    if (uid !== 0 && uid !== process.getuid?.()) throw unsafe(path, `${place} belongs to another user`)
    // In a folder such as /tmp nobody can take away or replace what belongs to somebody else; a link has no mode.
    const isOpen = (mode & writableByOthers) !== 0 && !isLink && !(isFolder && (mode & sticky) !== 0)
    if (isOpen) throw unsafe(path, `${place} can be written by others: chmod go-w`)
  }
}

async function look(place: string) {
  const found = await lstat(place)
  return { uid: found.uid, mode: found.mode, isLink: found.isSymbolicLink(), isFolder: found.isDirectory() }
}

function upwards(path: string): readonly string[] {
  const above = dirname(path)
  return above === path ? [path] : [path, ...upwards(above)]
}

function unsafe(path: string, problem: string): AgentError {
  return new AgentError('SETTINGS_UNSAFE', `${path} is not obeyed, because ${problem}`)
}
