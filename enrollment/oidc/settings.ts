import type { Labels, ProfileName } from '#protocol'

/** Signatures with a key pair; a secret that both ends share proves nothing to us, and neither does no signature. */
export const oidcAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const
export type OidcAlgorithm = (typeof oidcAlgorithms)[number]

/** Claims that a token must have, each with just this value. */
export type ClaimMatch = Readonly<Record<string, string>>

/** Whose word about CI jobs counts here, and for which of them. */
export interface OidcIssuer {
  /** Short; stands in the names of its runs, so that those of two issuers are never the same. */
  readonly name: string
  /** As its tokens have it in `iss`. */
  readonly url: string
  /** Where its keys are. Default: where its discovery document says */
  readonly keysUrl?: string
  readonly algorithms: readonly OidcAlgorithm[]
  /** PEM of the CAs that its server's certificate leads to. Default: those of the system */
  readonly ca?: string
  /** Claims that together name a run; none: a hash of the token does. */
  readonly run: readonly string[]
  /** What every token of it must say. */
  readonly match: ClaimMatch
  /** The first that fits counts; without one nobody gets in. */
  readonly allow: readonly OidcRule[]
}

/** Which jobs get devices, and what those get. */
export interface OidcRule {
  readonly match: ClaimMatch
  readonly profiles: readonly ProfileName[]
  readonly labels: Labels
  /** The most devices that a run may have. */
  readonly devices: number
  /** Of their certificates, which are not renewed. */
  readonly lifetimeSeconds: number
}
