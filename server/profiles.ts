import type { EnrollmentProfile } from '#enrollment'
import { boolean, list, object, optional, parseProfileName, parsed, record, text, word } from '#protocol'

/** What `touchmark.yaml` says of one enrollment profile. */
const decodeProfile = object({
  requireTpm: optional(boolean),
  unknown: optional(word('refuse', 'approve')),
  onTpmReset: optional(word('approve', 'accept')),
  virtualTpm: optional(boolean),
  idevidMakers: optional(list(text(64), 64)),
})

const maxProfiles = 64

export const decodeProfiles = record(decodeProfile, maxProfiles, parsed(parseProfileName))
export type ProfilesFile = ReturnType<typeof decodeProfiles>

export const defaultProfile = parseProfileName('default')

/** The rules of every profile: of those that are named, and of the one that is there without a word. */
export function profilesOf(
  file: ProfilesFile,
  common: Pick<EnrollmentProfile, 'requireTpm' | 'offline'>,
): readonly EnrollmentProfile[] {
  const names = new Set([defaultProfile, ...Object.keys(file).map(parseProfileName)])
  return [...names].map((name) => ({ name, allowUnvouchedTpm: true, ...common, ...file[name] }))
}
