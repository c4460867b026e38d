import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { encodeBase64url, formatOidcAudience, type OidcJoinRequest, parseProfileName } from '#protocol'
import { Enrollment, type OidcIssuer, type OidcRule } from '#enrollment'
import { keySetHash, spkiHash } from '#x509'
import { trustDomain } from '../../ca/world.js'
import { profile } from '../../registry/world.js'
import { createEnrollmentWorld, newChannel, softwareKey } from '../world.js'
import { type Claims, startIssuer, type TestIssuer } from './issuer.js'

export type Key = Awaited<ReturnType<typeof softwareKey>>

export const rule: OidcRule = {
  match: { repository_id: '42' },
  profiles: [profile],
  labels: { site: 'ci' },
  devices: 1000,
  lifetimeSeconds: 3600,
}

/** As GitHub's tokens have it. */
export function settingsOf(issuer: TestIssuer, over: Partial<OidcIssuer> = {}): OidcIssuer {
  return {
    name: 'github',
    url: issuer.url,
    algorithms: ['RS256', 'ES256'],
    ca: issuer.ca,
    run: ['run_id', 'run_attempt'],
    match: { repository_owner_id: '7' },
    allow: [rule],
    ...over,
  }
}

/** A service that takes jobs of an issuer at their word, which speaks HTTPS. */
export async function createOidcWorld(t: TestContext, over: Partial<OidcIssuer> = {}) {
  const issuer = await startIssuer(t)
  const world = await createEnrollmentWorld(t)
  const warnings: string[] = []
  const warn = (sentence: string) => void warnings.push(sentence)
  const oidc = { issuers: [settingsOf(issuer, over)], warn }
  const openEnrollment = (differently = {}): Enrollment => {
    const enrollment = new Enrollment({ ...world.options, oidc, ...differently })
    t.after(() => enrollment.close())
    return enrollment
  }
  return { ...world, issuer, oidc, warnings, openEnrollment, enrollment: openEnrollment() }
}
export type OidcWorld = Awaited<ReturnType<typeof createOidcWorld>>

export async function keysOf(count: number): Promise<readonly Key[]> {
  const keys: Key[] = []
  for (let at = 0; at < count; at++) keys.push(await softwareKey())
  return keys
}

export function audienceOf(keys: readonly Key[], purpose: { profile?: string; trustDomain?: string } = {}): string {
  const keySet = keySetHash(keys.map(({ spki }) => spkiHash(spki)))
  const named = parseProfileName(purpose.profile ?? profile)
  return formatOidcAudience(trustDomain, { profile: named, keySet }).replace(
    trustDomain,
    purpose.trustDomain ?? trustDomain,
  )
}

let tokens = 0

/** What an honest job's token says. */
export function claimsFor(world: Pick<OidcWorld, 'issuer' | 'clock'>, keys: readonly Key[]): Claims {
  const now = Math.floor(world.clock.now / 1000)
  return {
    ...{ iss: world.issuer.url, sub: 'repo:acme/sims:ref:refs/heads/main', aud: audienceOf(keys) },
    ...{ iat: now, nbf: now, exp: now + 300, jti: `token-${++tokens}` },
    ...{ repository_owner_id: '7', repository_id: '42', ref: 'refs/heads/main', run_id: '7301', run_attempt: '1' },
  }
}

export function requestOf(keys: readonly Key[], idToken: string): OidcJoinRequest {
  return { profile, idToken, csrs: keys.map(({ csr }) => encodeBase64url(csr)) }
}

/** A whole join; `claims` is what the token says otherwise. */
export async function joinJob(
  world: OidcWorld,
  keys: readonly Key[],
  { claims = {}, enrollment = world.enrollment }: { readonly claims?: Claims; readonly enrollment?: Enrollment } = {},
) {
  const token = await world.issuer.sign({ ...claimsFor(world, keys), ...claims })
  return enrollment.joinWithOidc(requestOf(keys, token), newChannel())
}

/** That it is refused with a code, and leaves no device, no run and no record but that of the refusal. */
export async function refused(world: OidcWorld, joining: Promise<unknown>, code: string): Promise<void> {
  const before = world.registry.devices().length
  await assert.rejects(joining, { code })
  assert.equal(world.registry.devices().length, before)
}
