import { createHash } from 'node:crypto'
import {
  type Anchor,
  type Fingerprint,
  maxRunNameLength,
  parseFingerprint,
  parseRunName,
  type RunName,
} from '#protocol'
import { claimOf, type Claims } from './claims.js'
import type { OidcIssuer } from './settings.js'

/** What the devices of a run are named after and recognised by. */
export interface NamedRun {
  readonly run: RunName
  readonly anchor: Anchor
}

/** How much of a hash stands in a name: nobody can make two runs of one name. */
const hashedLength = 32

/**
 * As the issuer calls it (`github-7301-1`), where its claims can stand in a device id; else by a hash of them. All jobs
 * with the same claims share a run. What was no claim of a token is taken from the token itself.
 */
export function nameRun({ name, url, run }: OidcIssuer, claims: Claims, jobToken: Fingerprint): NamedRun {
  const values = run.flatMap((claim) => claimOf(claims, claim) ?? [])
  const isNamed = values.length > 0 && values.length === run.length
  const hash = sha256(JSON.stringify(['touchmark run', url, ...(isNamed ? values : [jobToken])]))
  const spoken = isNamed ? speak(name, values) : undefined
  return { run: parseRunName(spoken ?? `${name}-${hash.slice(0, hashedLength)}`), anchor: { kind: 'oidc', hash } }
}

/** Without a dash of their own, so that no two lists of values read alike. */
function speak(name: string, values: readonly string[]): string | undefined {
  const spoken = [name, ...values].join('-')
  const isSpeakable = values.every((value) => /^[A-Za-z0-9._]+$/.test(value)) && spoken.length <= maxRunNameLength
  return isSpeakable ? spoken : undefined
}

function sha256(text: string): Fingerprint {
  return parseFingerprint(createHash('sha256').update(text).digest('hex'))
}
