import { dirname, resolve } from 'node:path'
import type { EnrollmentProfile, Maker } from '#enrollment'
import { list, parseName, parsed, record, text } from '#protocol'
import { maxAuthorityFiles, readAuthorities } from './authorities.js'
import { ServerError } from './errors.js'

const maxMakers = 64

/** Of the configuration file: what the operator calls each maker of machines, and where its certificates lie. */
export const decodeIdevidMakers = record(
  list(text(4096), maxAuthorityFiles),
  maxMakers,
  parsed((name) => parseName(name, 'a maker')),
)
export type IdevidMakersFile = ReturnType<typeof decodeIdevidMakers>

/** The same with absolute paths, as it goes into a new configuration file. */
export function resolveIdevidMakers(makers: IdevidMakersFile, configFile: string): IdevidMakersFile {
  const resolved = (path: string) => resolve(dirname(configFile), path)
  return Object.fromEntries(Object.entries(makers).map(([id, files]) => [id, files.map(resolved)]))
}

/** @throws ServerError CONFIG_INVALID */
export function readIdevidMakers(makers: IdevidMakersFile): readonly Maker[] {
  return Object.entries(makers).map(([id, files]) => readAuthorities(id, files, `machines of ${id}`))
}

/** A profile that trusts somebody who is not there trusts nobody, and its operator would wonder why. @throws ServerError CONFIG_INVALID */
export function requireKnownMakers(profiles: readonly EnrollmentProfile[], makers: IdevidMakersFile): void {
  for (const { name, idevidMakers = [] } of profiles) {
    const unknown = idevidMakers.find((id) => !Object.hasOwn(makers, id))
    if (unknown === undefined) continue
    throw new ServerError('CONFIG_INVALID', `profiles.${name}: there is no maker ${unknown} among idevidMakers`)
  }
}
