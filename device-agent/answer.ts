import { X509Certificate } from 'node:crypto'
import { CodedError, encodeJoinUri, type JoinAnswer, type JoinUri } from '#protocol'
import { decodePem, encodePem, verifyPath } from '#x509'
import type { Clock } from './clock.js'
import type { DeviceKey } from './device-key.js'
import { AgentError } from './errors.js'
import { type EnrollmentFacts, type IssuedGeneration, parseBroker } from './generation.js'
import { isPinned, type Trust, trustIn } from './trust.js'

/** What goes into a generation folder beside the key. */
export interface CheckedAnswer {
  readonly certificateChain: string
  readonly trustBundle: string
  readonly facts: EnrollmentFacts
}

/** What an answer is held to. */
export interface Asked {
  readonly uri: JoinUri
  readonly key: DeviceKey
  readonly clock: Clock
  /** What is in use until now; absent at a join. */
  readonly before?: IssuedGeneration
}

/**
 * Holds an answer to what was asked: a certificate for this very key and the device it names, that leads to the trust
 * bundle at the agent's own time. A wrong one must not replace a certificate that works.
 * @throws AgentError ANSWER_INVALID
 */
export function checkAnswer(answer: JoinAnswer, { uri, key, clock, before }: Asked): CheckedAnswer {
  try {
    const [leaf] = decodePem(answer.certificate, 'CERTIFICATE')
    if (leaf === undefined) throw invalid('it holds no certificate')
    const intermediates = answer.chain.flatMap((pem) => decodePem(pem, 'CERTIFICATE'))
    const anchors = answer.trustBundle.certificates.flatMap((pem) => decodePem(pem, 'CERTIFICATE'))
    requireKnown(anchors, { pins: uri.pins, ...(before && trustIn(before.trustBundle)) })
    verifyPath({ leaf, intermediates, anchors, at: new Date(clock.now()), purpose: 'device' })
    if (before !== undefined && answer.deviceId !== before.facts.deviceId) throw invalid('it names another device')
    const certificate = requireOurs(new X509Certificate(leaf), answer, key)
    parseBroker(answer.broker.mqtts)
    return {
      certificateChain: [leaf, ...withoutAnchors(intermediates, anchors)].map(asPem).join(''),
      trustBundle: anchors.map(asPem).join(''),
      facts: {
        deviceId: answer.deviceId,
        instanceId: answer.instanceId,
        joinUri: encodeJoinUri(uri),
        broker: answer.broker.mqtts,
        trustBundleSequence: answer.trustBundle.sequence,
        keyKind: key.kind,
        notBefore: new Date(certificate.validFrom),
        notAfter: new Date(certificate.validTo),
        renewal: answer.renewal,
      },
    }
  } catch (cause) {
    if (cause instanceof AgentError || !(cause instanceof CodedError)) throw cause
    throw invalid(cause.message, cause)
  }
}

/**
 * No answer brings a new anchor along: who holds a server's key for a day could otherwise own the device for good. An
 * anchor is pinned by the join URI, or was trusted before.
 */
function requireKnown(anchors: readonly Uint8Array[], { pins = [], anchors: trusted = [] }: Trust): void {
  const isKnown = (anchor: Uint8Array): boolean =>
    isPinned(anchor, pins) || trusted.some((known) => Buffer.compare(known, anchor) === 0)
  if (!anchors.every(isKnown)) throw invalid('its trust bundle holds a root that was never trusted here')
}

function requireOurs(certificate: X509Certificate, answer: JoinAnswer, key: DeviceKey): X509Certificate {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' })
  if (Buffer.compare(spki, key.spki) !== 0) throw invalid('its certificate is for another key')
  const commonName = /^CN=(.*)$/m.exec(certificate.subject)?.[1]
  if (commonName !== answer.deviceId) {
    throw invalid(`its certificate names ${commonName ?? 'nobody'}, and the answer names ${answer.deviceId}`)
  }
  return certificate
}

/** A server has the root already; sending it again costs every handshake. */
function withoutAnchors(chain: readonly Uint8Array[], anchors: readonly Uint8Array[]): readonly Uint8Array[] {
  return chain.filter((der) => !anchors.some((anchor) => Buffer.compare(anchor, der) === 0))
}

function asPem(der: Uint8Array): string {
  return encodePem('CERTIFICATE', der)
}

function invalid(problem: string, cause?: unknown): AgentError {
  return new AgentError('ANSWER_INVALID', `the service's answer cannot be used: ${problem}`, { cause })
}
