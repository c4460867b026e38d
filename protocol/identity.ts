import type { PcrVerdict } from './attestation.js'
import type { Brand } from './brand.js'
import type { CertificateSerial, DeviceId, Fingerprint, InstanceId, ProfileName, TokenId } from './ids.js'

/*
 * The types that travel: each step of a device's way takes the one before and gives the next.
 * One room each may make them; everyone else may only pass them on.
 */

/** How the device's key was proven when its certificate was issued; stands in the certificate as a policy. */
export type Tier = 'token' | 'idevid' | 'tpm' | 'tpm-unvouched' | 'tpm+pcr' | 'oidc-sim'

export const tiers = [
  'token',
  'idevid',
  'tpm',
  'tpm-unvouched',
  'tpm+pcr',
  'oidc-sim',
] as const satisfies readonly Tier[]

/** Operator-given facts about a device that policies and queries select by; values fit one topic level. */
export type Labels = Readonly<Record<string, string>>

/** What a device is recognised by when it joins again: the hash of an EK or IDevID key, or the token that let it in. */
export interface Anchor {
  readonly kind: 'ek' | 'idevid' | 'token' | 'oidc'
  readonly hash: Fingerprint
}

/**
 * How request and TLS session were tied together: the exporter (RFC 9266), or a one-time nonce where it is out of
 * reach. `none` where the credential is a secret that is sent, such as a token: it ties nothing.
 */
export type ChannelBinding = 'exporter' | 'nonce' | 'none'

/** TPM2 counters as attested; compared at the next attestation to see a TPM that was reset, cleared or copied. */
export interface TpmState {
  readonly akName: Uint8Array
  readonly resetCount: number
  readonly restartCount: number
  /** Milliseconds of powered time; TPMS_CLOCK_INFO.clock. */
  readonly clock: number
  readonly safe: boolean
  readonly firmware: string
}

/** The outcome of appraising evidence (RFC 9334 §8.4). Made only by `enrollment/evidence.ts`; no certificate without one. */
export type AttestationResult = Brand<
  {
    readonly profile: ProfileName
    readonly tier: Tier
    readonly anchor: Anchor
    /** Other anchors by which an operator may have registered the same hardware. */
    readonly aliases?: readonly Anchor[]
    /** DER SubjectPublicKeyInfo of the key to certify; its private half was shown to be held by the sender. */
    readonly spki: Uint8Array
    readonly spkiHash: Fingerprint
    readonly binding: ChannelBinding
    readonly token?: TokenId
    readonly tpm?: TpmState
    /** Milliseconds since 1970: `tpm` was attested after this, when what it is bound to began; absent where unknown. */
    readonly madeAfter?: number
    /** Whose certificate vouches for the hardware, and the serial number that it gives it. */
    readonly maker?: string
    readonly hardwareSerial?: string
    /** Where PCRs were quoted, or should have been. */
    readonly pcr?: PcrVerdict
  },
  'AttestationResult'
>

/**
 * What evidence at a renewal shows of the key to certify: the attestation key of the device's join says that it was made
 * in its TPM and stays there. Made only by `enrollment/evidence.ts`.
 */
export type RenewalAttestation = Brand<
  {
    /** DER SubjectPublicKeyInfo. */
    readonly spki: Uint8Array
    /** `tpm+pcr`: a quote of this request showed nothing but good values. */
    readonly tier: 'tpm' | 'tpm+pcr'
    readonly binding: Exclude<ChannelBinding, 'none'>
    readonly tpm: TpmState
    /** As in {@link AttestationResult}. */
    readonly madeAfter?: number
  },
  'RenewalAttestation'
>

/** A device certificate that the registry knows. Made only by `ca/`. */
export type IssuedCertificate = Brand<
  {
    readonly deviceId: DeviceId
    readonly instanceId: InstanceId
    readonly der: Uint8Array
    readonly fingerprint: Fingerprint
    readonly serial: CertificateSerial
    readonly spkiHash: Fingerprint
    readonly tier: Tier
    readonly notBefore: Date
    readonly notAfter: Date
  },
  'IssuedCertificate'
>

/** Who is at the other end of a TLS connection, read from the verified peer certificate. Made only by `x509/identity.ts`. */
export type DeviceIdentity = Brand<
  {
    readonly deviceId: DeviceId
    readonly serial: CertificateSerial
    readonly fingerprint: Fingerprint
    readonly spkiHash: Fingerprint
    readonly tier: Tier
    readonly notBefore: Date
    readonly notAfter: Date
  },
  'DeviceIdentity'
>

/**
 * A device and one of its certificates by name: what a record or a row keeps of an identity. It can be asked about and
 * proves nothing.
 */
export type CertificateHolder = Pick<DeviceIdentity, 'deviceId' | 'fingerprint'>

/** What a device can do with a topic; `will` is publishing after it has gone. */
export type TopicAction = 'publish' | 'will' | 'subscribe' | 'receive'

/**
 * Why a topic action is refused: stable codes for audit, `explain` and tests, and what each means to the one who has to
 * mend the policy, or the device.
 */
export const denyReasonTexts = {
  no_rule: 'nothing allows it',
  denied: 'a deny rule matches',
  not_contained: 'what is allowed does not cover the whole filter',
  overlaps_deny: 'the filter reaches into what is denied', //  where the policy says onOverlap: reject
  qos: 'above the granted QoS',
  retain: 'retaining is not granted',
  size: 'the payload is above the granted size',
  rate: 'too many for now', //                                 of a rule, or more filters than any device may change
  quota: 'the device keeps as much as it may', //              subscriptions, retained messages
  condition: 'a condition of the rule does not hold', //       a `when`
  quarantined: 'the device is in quarantine, and nothing else is allowed there',
  reserved: 'a $ topic that no rule names, or where only the service speaks',
  no_rights: 'no role is bound to the device, or its rights cannot be rendered',
  response_topic: 'the device may not receive on the response topic that it gives', // MQTT 5.0 §4.10
  invalid_share: 'not the name of a shared subscription', //   MQTT 5.0 §4.8.2
  internal: 'deciding failed', //                              deny when in doubt
} as const satisfies Readonly<Record<string, string>>
export type DenyReason = keyof typeof denyReasonTexts
export const denyReasons: readonly DenyReason[] = Object.keys(denyReasonTexts).filter(isDenyReason)

function isDenyReason(reason: string): reason is DenyReason {
  return Object.hasOwn(denyReasonTexts, reason)
}

export type Decision =
  | {
      readonly effect: 'allow'
      readonly rules: readonly string[]
      readonly policyVersion: number
      /** Of a publish: who is given the message may answer it once, within so many milliseconds. */
      readonly answerMs?: number
    }
  | {
      readonly effect: 'deny'
      readonly reason: DenyReason
      /** The rules that determined the refusal, `role/rule`; empty when nothing matched. */
      readonly rules: readonly string[]
      readonly policyVersion: number
    }

/**
 * How a second copy of a device gives itself away when it renews: by a certificate that was replaced, with a key that its
 * successor is not for; or by one key after another that ask for the same place.
 */
export const cloneSigns = ['previous', 'keys'] as const
export type CloneSign = (typeof cloneSigns)[number]

/** CRLReason names (RFC 5280 §5.3.1) that an operator can give. */
export const revocationReasons = [
  'unspecified',
  'keyCompromise',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
] as const
export type RevocationReason = (typeof revocationReasons)[number]
