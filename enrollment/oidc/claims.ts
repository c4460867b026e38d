import type { ProfileName } from '#protocol'
import { EnrollmentError } from '../errors.js'
import type { ClaimMatch, OidcIssuer, OidcRule } from './settings.js'

/** What a token says whose signature was checked. */
export type Claims = Readonly<Record<string, unknown>>

/** A claim as text: issuers write one number as text, another as a number. Undefined for what is neither. */
export function claimOf(claims: Claims, name: string): string | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  if (typeof value === 'string') return value
  return typeof value === 'boolean' || Number.isSafeInteger(value) ? String(value) : undefined
}

/** The rule by which a job gets devices. @throws EnrollmentError OIDC_NOT_ALLOWED */
export function ruleFor(issuer: OidcIssuer, claims: Claims, profile: ProfileName): OidcRule {
  const rule = fits(issuer.match, claims) ? issuer.allow.find(({ match }) => fits(match, claims)) : undefined
  if (rule === undefined) throw notAllowed(issuer, 'no rule lets this job in')
  if (!rule.profiles.includes(profile)) throw notAllowed(issuer, `the rule for this job knows no profile ${profile}`)
  return rule
}

function fits(match: ClaimMatch, claims: Claims): boolean {
  return Object.entries(match).every(([name, value]) => claimOf(claims, name) === value)
}

function notAllowed({ name }: OidcIssuer, problem: string): EnrollmentError {
  return new EnrollmentError('OIDC_NOT_ALLOWED', `${name}: ${problem}`)
}
