import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { decodeHex, encodeBase64url, type Fingerprint, parseTrustDomain, type TrustDomain } from '#protocol'
import { decodePem, spkiHash, verifyPath, X509Error } from '#x509'
import type { Clock } from './clock.js'
import type { Endpoint } from './device-key.js'
import { AgentError } from './errors.js'
import { place } from './tls.js'

/** What a server's chain must lead to: a key known by its hash (first contact), or a certificate known as a whole. */
export interface Trust {
  readonly pins?: readonly Fingerprint[]
  /** DER. */
  readonly anchors?: readonly Uint8Array[]
}

/** PEM as it lies in a generation folder. */
export function trustIn(trustBundle: string): Trust {
  return { anchors: decodePem(trustBundle, 'CERTIFICATE') }
}

/**
 * Checks what a server has shown: its name, every signature up to something trusted, and the dates at the agent's own
 * idea of time. @throws AgentError SERVER_UNTRUSTED, SERVER_EXPIRED
 */
export async function verifyServer(
  peerChain: readonly Uint8Array[],
  endpoint: Endpoint,
  trust: Trust,
  clock: Pick<Clock, 'toJudge'>,
): Promise<void> {
  const [leaf, ...intermediates] = peerChain
  if (leaf === undefined) throw untrusted(endpoint, 'showed no certificate')
  requireHost(leaf, endpoint)
  const anchors = [...(trust.anchors ?? []), ...peerChain.filter((der) => isPinned(der, trust.pins ?? []))]
  if (anchors.length === 0) throw untrusted(endpoint, noPin(peerChain, trust.pins ?? []))
  const at = new Date(clock.toJudge(latestNotBefore(peerChain)))
  try {
    verifyPath({ leaf, intermediates, anchors, at, purpose: 'server' })
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw asAgentError(cause, endpoint, at)
  }
}

/** RFC 9525: the name that was asked for, never the common name. */
function requireHost(leaf: Uint8Array, endpoint: Endpoint): void {
  const certificate = new X509Certificate(leaf)
  const named =
    isIP(endpoint.host) === 0
      ? certificate.checkHost(endpoint.host, { subject: 'never', partialWildcards: false })
      : certificate.checkIP(endpoint.host)
  if (named !== undefined) return
  const names = certificate.subjectAltName ?? 'no name'
  throw untrusted(
    endpoint,
    `shows a certificate for other names: expected ${endpoint.host}, got ${names.slice(0, 300)}`,
  )
}

/** The trust domain of a service whose chain is verified: its CAs name it (SPIFFE X509-SVID §3.1). @throws AgentError SERVER_UNTRUSTED */
export function trustDomainOf(peerChain: readonly Uint8Array[]): TrustDomain {
  const authorities = peerChain.map((der) => new X509Certificate(der)).filter((certificate) => certificate.ca)
  const names = authorities.flatMap((certificate) => certificate.subjectAltName?.split(', ') ?? [])
  const domain = names.map((name) => /^URI:spiffe:\/\/([a-z0-9._-]{1,255})$/.exec(name)?.[1]).find((found) => found)
  if (domain !== undefined) return parseTrustDomain(domain)
  throw new AgentError(
    'SERVER_UNTRUSTED',
    'expected a CA in the service’s chain to name its trust domain (URI:spiffe://…)',
  )
}

/** Whether this certificate is for one of the pinned keys. */
export function isPinned(der: Uint8Array, pins: readonly Fingerprint[]): boolean {
  return pins.includes(hashOfKey(der))
}

function hashOfKey(der: Uint8Array): Fingerprint {
  return spkiHash(new X509Certificate(der).publicKey.export({ type: 'spki', format: 'der' }))
}

function latestNotBefore(chain: readonly Uint8Array[]): number {
  return Math.max(...chain.map((der) => Date.parse(new X509Certificate(der).validFrom)))
}

function noPin(chain: readonly Uint8Array[], pins: readonly Fingerprint[]): string {
  const asPin = (hash: Fingerprint): string => `sha256:${encodeBase64url(decodeHex(hash))}`
  const expected = pins.map(asPin).join(' or ')
  const got = chain.map((der) => asPin(hashOfKey(der))).join(', ')
  return `is not the service that the join URI names, or its root key was replaced: expected ${expected} in its chain, got ${got}`
}

function asAgentError(cause: X509Error, endpoint: Endpoint, at: Date): AgentError {
  if (cause.code !== 'EXPIRED' && cause.code !== 'NOT_YET_VALID')
    return untrusted(endpoint, `shows a chain that does not hold: ${cause.message}`, cause)
  const problem =
    `${place(endpoint)} shows a certificate that is not valid at ${at.toISOString()}, this device's time: ${cause.message}; ` +
    'check the clock of this device first, then that of the service'
  return new AgentError('SERVER_EXPIRED', problem, { cause })
}

function untrusted(endpoint: Endpoint, problem: string, cause?: unknown): AgentError {
  return new AgentError('SERVER_UNTRUSTED', `${place(endpoint)} ${problem}`, { cause })
}
