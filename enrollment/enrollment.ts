import { randomBytes } from 'node:crypto'
import {
  type AttestationResult,
  type AuditTrail,
  type DeviceIdentity,
  type IssuedCertificate,
  type JoinAnswer,
  type JoinNonce,
  type JoinTerms,
  type Labels,
  type PcrVerdict,
  type ProfileName,
  type RenewalInfo,
  type RenewRequest,
  sourceOf,
  type TokenJoinRequest,
  type TpmActivateRequest,
  type TpmChallenge,
  type TpmJoinRequest,
  type TpmRenewRequest,
  type TrustDomain,
} from '#protocol'
import { type CertificateAuthority, type IssueContext, type RenewContext, renewalWindow } from '#ca'
import { type CertificateRecord, type Registry, RegistryError, type TokenCredential } from '#registry'
import { encodePem, fingerprintOf, readDeviceIdentity, X509Error } from '#x509'
import { Challenges } from './challenge.js'
import type { Channel } from './channel.js'
import { type EkMaker, EkTrust } from './ek-trust.js'
import { EnrollmentError } from './errors.js'
import { attestRenewal, attestTokenJoin } from './evidence.js'
import { readCsr } from './evidence/csr.js'
import { parseJoinToken } from './join-token.js'
import { type Caller, type LimitOptions, Limits } from './limits.js'
import type { PcrPolicyFor } from './pcr-policy/policy.js'
import { Verdicts, type VerdictsOptions } from './pcr-policy/verdicts.js'
import type { EnrollmentProfile } from './profile.js'
import { type JoinMethod, refusalOf } from './refusal.js'
import { type RefusedJoin, Refusals } from './refusals.js'
import { renewalInfoOf } from './renewal-info.js'

export interface EnrollmentOptions {
  readonly trustDomain: TrustDomain
  /** All changes go through it; the registry is only asked here. */
  readonly ca: Pick<CertificateAuthority, 'issue' | 'renew' | 'chain' | 'root'>
  readonly registry: Pick<
    Registry,
    'requireToken' | 'certificate' | 'instance' | 'attestation' | 'recordAttestation' | 'admit'
  >
  readonly audit: AuditTrail
  readonly profiles: readonly EnrollmentProfile[]
  /** The manufacturers of TPMs that are trusted here. */
  readonly ekMakers: readonly EkMaker[]
  /** Default: no policy holds for any profile. */
  readonly pcrPolicyFor?: PcrPolicyFor
  readonly keepEventLog?: VerdictsOptions['keepEventLog']
  readonly quarantine?: VerdictsOptions['quarantine']
  /** 32 bytes under which challenges are sealed; nodes that answer each other's devices share it. */
  readonly cookieKey: Uint8Array
  /** Where enrolled devices connect. */
  readonly broker: { readonly mqtts: string; readonly wss?: string }
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Default: the system's. */
  readonly random?: (bytes: number) => Uint8Array
  readonly limits?: LimitOptions
}

/**
 * Turns an unknown machine into a known device: by a token, by a TPM, or by the certificate that it has. Every refusal
 * stands in the audit log with its real reason; strangers hear of it only what they sent themselves.
 */
export class Enrollment {
  readonly #options: EnrollmentOptions
  readonly #profiles: ReadonlyMap<ProfileName, EnrollmentProfile>
  readonly #pcrPolicyFor: PcrPolicyFor
  readonly #verdicts: Verdicts
  readonly #challenges: Challenges
  readonly #limits: Limits
  readonly #refusals: Refusals

  constructor(options: EnrollmentOptions) {
    const { trustDomain, cookieKey, now, random = randomBytes } = options
    const ekTrust = new EkTrust(options.ekMakers)
    this.#options = options
    this.#profiles = new Map(options.profiles.map((profile) => [profile.name, profile]))
    this.#pcrPolicyFor = options.pcrPolicyFor ?? (() => undefined)
    this.#verdicts = new Verdicts({ ...options, pcrPolicyFor: this.#pcrPolicyFor })
    this.#challenges = new Challenges({
      ...{ trustDomain, ekTrust, cookieKey, now, random },
      pcrPolicyFor: this.#pcrPolicyFor,
    })
    this.#limits = new Limits(now, options.limits)
    this.#refusals = new Refusals(options.audit)
  }

  /** For those who cannot export from their TLS connection. Giving one costs us nothing to remember. */
  createNonce(): JoinNonce {
    return this.#challenges.createNonce()
  }

  /** What a TPM join by a profile is to show beside its keys. @throws EnrollmentError PROFILE_UNKNOWN */
  termsOf(name: ProfileName): JoinTerms {
    const { pcrs, eventLog = false } = this.#pcrPolicyFor(this.#profile(name).name) ?? {}
    return { pcrs: [...(pcrs?.keys() ?? [])].sort((one, other) => one - other), eventLog }
  }

  /** Spec §1: token and CSR for a certificate. @throws EnrollmentError */
  async joinWithToken(bearer: string, request: TokenJoinRequest, channel: Channel): Promise<JoinAnswer> {
    return this.#serve({ method: 'token', channel }, async (known) => {
      const credential = parseJoinToken(bearer)
      known.token = credential.id
      const token = this.#options.registry.requireToken(credential)
      const profile = this.#profile(request.profile ?? token.profile)
      if (profile.requireTpm === true) {
        throw new EnrollmentError('TPM_REQUIRED', `profile ${profile.name} takes no key in a file: join with a TPM`)
      }
      return this.#limits.work('proven', async () => {
        const attestation = await attestTokenJoin(request.csr, credential.id, profile)
        return this.#issue(attestation, contextOf(channel, request.reported, credential))
      })
    })
  }

  /** Spec §2 step 1: evidence for a challenge. Nothing that we know of the device takes part. @throws EnrollmentError */
  async beginTpmJoin(request: TpmJoinRequest, channel: Channel): Promise<TpmChallenge> {
    return this.#serve({ method: 'tpm', channel }, async () => {
      const profile = this.#profile(request.profile)
      const token = request.token === undefined ? undefined : parseJoinToken(request.token)
      return this.#limits.work(this.#callerWith(token), () => this.#challenges.begin(request, profile, token, channel))
    })
  }

  /** Spec §2 step 2: the secret that only that TPM can recover, for a certificate. @throws EnrollmentError */
  async activateTpmJoin(request: TpmActivateRequest, channel: Channel): Promise<JoinAnswer> {
    return this.#serve({ method: 'tpm', channel }, async (known) => {
      const state = this.#challenges.open(request.cookie)
      known.anchorHash = state.appraised.ekHash
      const attestation = this.#challenges.conclude(state, request, channel)
      const context = contextOf(channel, state.reported, state.token)
      const { eventLog } = request
      return this.#limits.work('proven', () => this.#issue(attestation, context, eventLog))
    })
  }

  /** Spec §5, over a TLS connection made with the certificate that is to be renewed. @throws EnrollmentError */
  async renew(peerDer: Uint8Array, request: RenewRequest, channel: Channel): Promise<JoinAnswer> {
    const renewing = { method: 'renew', channel, caller: this.#callerOf(peerDer, channel) } as const
    return this.#serve(renewing, async (known) => {
      const identity = readIdentity(peerDer, this.#options.trustDomain)
      known.serial = identity.serial
      const certificate = this.#requireIssuedHere(identity)
      known.device = identity.deviceId
      return this.#limits.work('proven', async () => {
        const { spki, pcr, eventLog, ...proven } = await this.#renewalKey(certificate, request, channel)
        const context = { ...contextOf(channel, request.reported), ...proven }
        const issued = await this.#options.ca.renew(identity, spki, context)
        await this.#verdicts.note(pcr, { ...issued, peer: channel.peer, eventLog })
        return this.#answer(issued)
      })
    })
  }

  /** Spec §5: when the certificate is to be renewed that this TLS connection was made with. @throws EnrollmentError */
  async renewalInfo(peerDer: Uint8Array, id: string, channel: Channel): Promise<RenewalInfo> {
    const asking = { method: 'renew', channel, caller: this.#callerOf(peerDer, channel) } as const
    return this.#serve(asking, async (known) => {
      const { trustDomain, registry } = this.#options
      const identity = readIdentity(peerDer, trustDomain)
      known.serial = identity.serial
      return renewalInfoOf(registry, { der: peerDer, identity, id, peer: channel.peer })
    })
  }

  /** Writes down a request that could not be read, and so never came to a join: too large, not JSON, of another form. */
  turnAway(method: JoinMethod, reason: string, channel: Pick<Channel, 'peer'>): void {
    this.#refusals.add({ method, reason, peer: channel.peer })
  }

  /** Writes the refusals that are still being counted. */
  close(): void {
    this.#refusals.flush()
  }

  /** One request from arrival to answer; `known` collects what a refusal can be recorded with. */
  async #serve<T>(serving: Serving, answer: (known: Known) => Promise<T>): Promise<T> {
    const { method, channel, caller = sourceOf(channel.peer) } = serving
    const known: Known = {}
    try {
      this.#limits.arrive(caller)
      return await answer(known)
    } catch (error) {
      const refusal = refusalOf(error, method)
      if (refusal === undefined) throw error
      const { told, ...why } = refusal
      this.#refusals.add({ method, ...why, peer: channel.peer, ...known })
      throw told
    }
  }

  /** Behind an address that floods us, a device with a certificate of ours still gets through. */
  #callerOf(der: Uint8Array, { peer }: Channel): string {
    const fingerprint = fingerprintOf(der)
    return this.#options.registry.certificate(fingerprint) === undefined ? sourceOf(peer) : fingerprint
  }

  #profile(name: ProfileName): EnrollmentProfile {
    const profile = this.#profiles.get(name)
    if (profile === undefined) throw new EnrollmentError('PROFILE_UNKNOWN', `there is no enrollment profile ${name}`)
    return profile
  }

  /** A share of the work is kept for those who hold a token's secret; an unknown token is no reason to refuse yet. */
  #callerWith(token: TokenCredential | undefined): Caller {
    if (token === undefined) return 'stranger'
    try {
      this.#options.registry.requireToken(token)
      return 'proven'
    } catch (error) {
      if (error instanceof RegistryError) return 'stranger'
      throw error
    }
  }

  /** Cheap, and before anything is signed: to stand in the table by the whole DER is to have been issued here. */
  #requireIssuedHere(identity: DeviceIdentity): CertificateRecord {
    const certificate = this.#options.registry.certificate(identity.fingerprint)
    if (certificate !== undefined) return certificate
    throw new RegistryError('UNKNOWN_CERTIFICATE', `certificate ${identity.serial} was not issued here`)
  }

  /** @throws EnrollmentError */
  async #renewalKey({ instance: id }: CertificateRecord, request: RenewRequest, channel: Channel): Promise<RenewalKey> {
    const { registry, trustDomain, now } = this.#options
    const instance = registry.instance(id)
    if (instance === undefined) throw new RegistryError('UNKNOWN_CERTIFICATE', `instance ${id} is over`)
    if (!hasEvidence(request) || request.quote === undefined) this.#verdicts.requireQuoteIfDue(instance)
    if (!hasEvidence(request)) return { spki: (await readCsr(request.csr)).spki }
    const profile = this.#profile(instance.profile)
    const bound = this.#challenges.bind(request, channel, profile)
    const pcrPolicy = this.#pcrPolicyFor(profile.name)
    const at = new Date(now())
    const reference = { profile, trustDomain, channel: bound, akName: instance.tpm?.akName, pcrPolicy, at }
    const { attestation, pcr } = await attestRenewal(request, reference)
    return { spki: attestation.spki, attestation, pcr, eventLog: request.eventLog }
  }

  async #issue(
    attestation: AttestationResult,
    context: IssueContext & Pick<Channel, 'peer'>,
    eventLog?: Uint8Array,
  ): Promise<JoinAnswer> {
    const issued = await this.#options.ca.issue(attestation, context)
    await this.#verdicts.note(attestation.pcr, { ...issued, peer: context.peer, eventLog })
    return this.#answer(issued)
  }

  #answer(issued: IssuedCertificate): JoinAnswer {
    const { ca, broker, now } = this.#options
    return {
      deviceId: issued.deviceId,
      instanceId: issued.instanceId,
      certificate: encodePem('CERTIFICATE', issued.der),
      chain: ca.chain,
      trustBundle: { sequence: 1, certificates: [ca.root.pem] },
      broker,
      renewal: renewalWindow(issued),
      serverTime: new Date(now()),
    }
  }
}

interface Serving {
  readonly method: JoinMethod
  readonly channel: Channel
  /** By what the request is counted; by the address where that is absent. */
  readonly caller?: string
}

/** The key that a renewal is for, and what evidence shows of it and of the machine, where some came. */
interface RenewalKey extends Pick<RenewContext, 'attestation'> {
  readonly spki: Uint8Array
  readonly pcr?: PcrVerdict | undefined
  readonly eventLog?: Uint8Array | undefined
}

function hasEvidence(request: RenewRequest): request is TpmRenewRequest {
  return 'certify' in request
}

/** What a refusal is recorded with, as it becomes known. */
type Known = { -readonly [Name in 'device' | 'token' | 'anchorHash' | 'serial']?: NonNullable<RefusedJoin[Name]> }

function contextOf(channel: Channel, reported?: Labels, token?: TokenCredential): IssueContext & Pick<Channel, 'peer'> {
  return {
    peer: channel.peer,
    ...(reported !== undefined && { reported }),
    ...(token !== undefined && { token }),
  }
}

function readIdentity(der: Uint8Array, trustDomain: TrustDomain): DeviceIdentity {
  try {
    return readDeviceIdentity(der, trustDomain)
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw new EnrollmentError('RENEWAL_REFUSED', cause.message, { cause })
  }
}
