import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import {
  type AttestationResult,
  type AuditTrail,
  type CertificateFacts,
  type CertificateSerial,
  type ChannelBinding,
  CodedError,
  type DeviceId,
  type DeviceIdentity,
  encodeHex,
  type InstanceId,
  type IssuedCertificate,
  type OperatorName,
  parseCertificateSerial,
  type ProfileName,
  type RenewalAttestation,
  type Tier,
  type TrustDomain,
} from '#protocol'
import type { JoinContext, OfflineTerms, OperatorIssue, Registry, RunJoin, TokenCredential } from '#registry'
import { createCertificate, createKeyPair, encodePem, fingerprintOf, readIssuerKey, spkiHash, spkiOf } from '#x509'
import { exportKey } from './custody.js'
import { type CaCertificate, Issuer } from './issuer.js'
import {
  type Blank,
  type DeviceFacts,
  deviceProfile,
  isProvenInTpm,
  lifetimes,
  operatorProfile,
  serverProfile,
} from './profiles.js'
import { deviceLifetime, operatorLifetime, validityFrom } from './validity.js'

export interface CertificateAuthorityOptions {
  /** The folder of the keys; made when it is not there. Nobody else writes into it. */
  readonly directory: string
  readonly trustDomain: TrustDomain
  readonly registry: Pick<
    Registry,
    'planEnrollment' | 'enroll' | 'planRenewal' | 'renew' | 'lockClone' | 'recordOperator' | 'settled' | 'runs'
  >
  readonly audit: AuditTrail
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Seconds that a device's certificate lives, by enrollment profile: 5 minutes to 7 days. Default: 24 hours for all. */
  readonly deviceLifetimeSeconds?: (profile: ProfileName) => number
  /** Bytes for serial numbers. Default: the system's. */
  readonly random?: (length: number) => Uint8Array
}

export interface IssueContext extends JoinContext {
  /** The join token that came with the request. */
  readonly token?: TokenCredential
  /** A TPM that was cleared since it was last attested may go on. Default false. */
  readonly afterReset?: boolean
}

export interface RunContext extends JoinContext {
  /** How long the certificates live: at least 5 minutes. */
  readonly lifetimeSeconds: number
}

export interface RenewContext extends JoinContext {
  /** What evidence showed that came with the request. */
  readonly attestation?: RenewalAttestation
  /** By what a request without evidence is tied to its connection. Default: `none` */
  readonly binding?: ChannelBinding
  /** Where a certificate that is over was shown. Default: nowhere. */
  readonly offline?: OfflineTerms
}

/** A leaf with its key, for whoever runs the service. */
export interface ServerCredential {
  readonly privateKeyPem: string
  /** Leaf, chain, root: a device that knows only the root's key finds it in the handshake. */
  readonly chainPem: string
  readonly notAfter: Date
}

/** A certificate for a person, who has the key. */
export interface IssuedOperator extends Omit<ServerCredential, 'privateKeyPem'> {
  readonly certificatePem: string
  readonly name: OperatorName
  readonly serial: CertificateSerial
}

export interface OperatorRequest {
  /** DER SubjectPublicKeyInfo of a key that the operator holds. */
  readonly spki: Uint8Array
  /** 5 minutes to 30 days. Default: 8 hours */
  readonly ttlSeconds?: number
  /** What it is issued for, and to whom. */
  readonly facts?: Pick<OperatorIssue, 'invitation' | 'presentedSerial' | 'peer'>
}

/** So many certificates of a run are signed in one go: a thousand would keep everybody else waiting. */
const signedTogether = 8

/**
 * Issues and renews certificates of one trust domain. A device's certificate is signed first and then recorded in one
 * change of the registry, which decides; a signature that lost a race is thrown away and opens nothing.
 */
export class CertificateAuthority {
  readonly #options: CertificateAuthorityOptions
  readonly #issuer: Issuer
  readonly #newSerial: () => CertificateSerial

  /** Opens the keys in the folder, or makes them at the first run. @throws CaError */
  static async open(options: CertificateAuthorityOptions): Promise<CertificateAuthority> {
    const random = options.random ?? randomBytes
    const newSerial = () => parseCertificateSerial(encodeHex(random(16))) // 128 bits; RFC 5280 §4.1.2.2
    const { directory, trustDomain, audit, now } = options
    const issuer = await Issuer.open({ directory, trustDomain, audit, now, newSerial })
    return new CertificateAuthority(options, issuer, newSerial)
  }

  private constructor(options: CertificateAuthorityOptions, issuer: Issuer, newSerial: () => CertificateSerial) {
    this.#options = options
    this.#issuer = issuer
    this.#newSerial = newSerial
  }

  get root(): CaCertificate {
    return this.#issuer.root
  }

  get issuing(): CaCertificate {
    return this.#issuer.issuing
  }

  /** The issuing CA, and behind it the one of before while leaves of it may live: whatever we signed has a path by these. */
  get intermediates(): readonly CaCertificate[] {
    return this.#issuer.intermediates
  }

  /** Every CA that may have signed what is still shown, also where it is over itself: newest first. */
  get signers(): readonly CaCertificate[] {
    return this.#issuer.signers
  }

  /** PEM of the intermediates, and the root last. */
  get chain(): readonly string[] {
    return [...this.intermediates, this.root].map(({ pem }) => pem)
  }

  /** To be called now and then, daily at least: renews the issuing CA in the last third of its life. @throws CaError */
  renewIssuingIfDue(): Promise<void> {
    return this.#issuer.renewIfDue()
  }

  /** Replaces the issuing CA at once; what the old one signed stays good. @throws CaError */
  renewIssuing(): Promise<void> {
    return this.#issuer.renew()
  }

  /**
   * The certificate of a machine that was attested. The same credential and key get the same one again.
   * @throws RegistryError when the registry refuses the join; CaError ISSUER_EXPIRED, LIFETIME_INVALID
   */
  async issue(attestation: AttestationResult, context: IssueContext = {}): Promise<IssuedCertificate> {
    const { registry } = this.#options
    const { token, afterReset, ...joinContext } = context
    return onceMoreOnConflict(async () => {
      const plan = registry.planEnrollment(attestation, token, joinContext.peer, afterReset)
      if (plan.kind === 'repeat') return this.#repeat(plan.certificate)
      const { device, instance, profile } = plan
      const { spki, tier } = attestation
      const facts = await this.#signDevice(spki, profile, { device, tier, provenInTpm: isProvenInTpm(tier) })
      await registry.enroll(plan, facts, joinContext)
      return issued(device, instance, facts)
    })
  }

  /**
   * The certificates of a CI run's devices, in the order of their keys: all or none. The same keys get the same ones again.
   * @throws RegistryError when the registry refuses the run; CaError as above
   */
  async issueRun(join: RunJoin, context: RunContext): Promise<readonly IssuedCertificate[]> {
    const { runs } = this.#options.registry
    const { lifetimeSeconds, ...joinContext } = context
    return onceMoreOnConflict(async () => {
      const plan = runs.plan(join, joinContext.peer)
      const signed = new Map<DeviceId, CertificateFacts>()
      const certificates: IssuedCertificate[] = []
      for (const each of plan.devices) {
        if (each.kind === 'repeat') {
          certificates.push(issuedBefore(each.certificate))
          continue
        }
        if (signed.size % signedTogether === signedTogether - 1) await setImmediate()
        const { device, instance, profile, attestation } = each
        const facts = { device, tier: attestation.tier, provenInTpm: false }
        const certificate = await this.#signDevice(attestation.spki, profile, facts, lifetimeSeconds)
        signed.set(device, certificate)
        certificates.push(issued(device, instance, certificate))
      }
      await (plan.isNew ? runs.record(plan, signed, joinContext) : this.#options.registry.settled())
      return certificates
    })
  }

  /**
   * The next certificate of a device that showed one. It states what this request proved: the tier that the registry
   * allows for this key, and the policies about a TPM only where evidence came this time.
   * @throws RegistryError when the registry refuses; CaError as above
   */
  async renew(identity: DeviceIdentity, spki: Uint8Array, context: RenewContext = {}): Promise<IssuedCertificate> {
    const { registry } = this.#options
    const { attestation, binding, offline, ...joinContext } = context
    const asked = { spkiHash: spkiHash(spki), attestation, binding, offline }
    return onceMoreOnConflict(async () => {
      const plan = registry.planRenewal(identity, asked, joinContext.peer)
      if (plan.kind === 'repeat') return this.#repeat(plan.certificate)
      if (plan.kind === 'clone') return registry.lockClone(plan, joinContext.peer)
      const { device, instance, profile, tier } = plan
      const provenInTpm = attestation !== undefined && isProvenInTpm(tier)
      const facts = await this.#signDevice(spki, profile, { device, tier, provenInTpm })
      await registry.renew(plan, facts, joinContext)
      return issued(device, instance, facts)
    })
  }

  /** A key and certificate for our own listeners. @throws CaError HOST_INVALID, ISSUER_EXPIRED */
  async issueServer(hosts: readonly string[]): Promise<ServerCredential> {
    const { privateKey, publicKey } = createKeyPair('P-256')
    const blank = this.#blank(spkiOf(publicKey), lifetimes.server)
    const certificate = await createCertificate(serverProfile(blank, hosts), this.#issuer.holder)
    return { privateKeyPem: exportKey(privateKey), ...this.#shown(certificate, blank) }
  }

  /** A certificate for one who operates the service; good as soon as the registry knows it. @throws CaError, RegistryError */
  async issueOperator(name: OperatorName, { spki, ttlSeconds, facts }: OperatorRequest): Promise<IssuedOperator> {
    const blank = this.#blank(spki, operatorLifetime(ttlSeconds ?? lifetimes.operator / 1000))
    const { serial, validity } = blank
    const certificate = await createCertificate(operatorProfile(blank, name), this.#issuer.holder)
    const fingerprint = fingerprintOf(certificate)
    await this.#options.registry.recordOperator({
      operator: name,
      fingerprint,
      serial,
      ...validity,
      certificate,
      ...facts,
    })
    const { chainPem, notAfter } = this.#shown(certificate, blank)
    return { chainPem, notAfter, certificatePem: encodePem('CERTIFICATE', certificate), name, serial }
  }

  async #signDevice(
    spki: Uint8Array,
    profile: ProfileName,
    device: DeviceFacts,
    lifetimeSeconds?: number,
  ): Promise<CertificateFacts> {
    const ofProfile = this.#options.deviceLifetimeSeconds?.(profile) ?? lifetimes.device / 1000
    const seconds = lifetimeSeconds ?? ofProfile
    const blank = this.#blank(spki, deviceLifetime(seconds))
    const certificate = await createCertificate(deviceProfile(blank, device), this.#issuer.holder)
    return factsOf(certificate, blank, device.tier)
  }

  #blank(spki: Uint8Array, lifetime: number): Blank {
    const { trustDomain, now } = this.#options
    const validity = validityFrom(now(), lifetime, this.issuing.validity.notAfter)
    return { trustDomain, spki, serial: this.#newSerial(), validity }
  }

  /** What was issued before is answered only once it is durable; its record may still be on its way. */
  async #repeat(record: RecordedCertificate): Promise<IssuedCertificate> {
    await this.#options.registry.settled()
    return issuedBefore(record)
  }

  #shown(certificate: Uint8Array, { validity }: Blank): Omit<ServerCredential, 'privateKeyPem'> {
    const chainPem = [encodePem('CERTIFICATE', certificate), ...this.chain].join('')
    return { chainPem, notAfter: new Date(validity.notAfter) }
  }
}

/** Between plan and record another request may have come first; against one that comes twice, a person must look. */
async function onceMoreOnConflict<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt()
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== 'CONFLICT') throw error
    return attempt()
  }
}

function factsOf(certificate: Uint8Array, { spki, serial, validity }: Blank, tier: Tier): CertificateFacts {
  const issuer = readIssuerKey(certificate)
  const facts = { fingerprint: fingerprintOf(certificate), serial, spkiHash: spkiHash(spki), tier, ...validity }
  return { ...facts, ...(issuer !== undefined && { issuer }), certificate }
}

type RecordedCertificate = CertificateFacts & { readonly device: DeviceId; readonly instance: InstanceId }

function issuedBefore(record: RecordedCertificate): IssuedCertificate {
  return issued(record.device, record.instance, record)
}

function issued(deviceId: DeviceId, instanceId: InstanceId, facts: CertificateFacts): IssuedCertificate {
  const { certificate: der, notBefore, notAfter, fingerprint, serial, spkiHash, tier } = facts
  const dates = { notBefore: new Date(notBefore), notAfter: new Date(notAfter) }
  return { deviceId, instanceId, der, fingerprint, serial, spkiHash, tier, ...dates } as IssuedCertificate
}
