import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { AuditTrail, CertificateSerial, Fingerprint, TrustDomain } from '#protocol'
import {
  createCertificate,
  createKeyPair,
  encodePem,
  fingerprintOf,
  isInLastThird,
  spkiHash,
  spkiOf,
  type Validity,
  validityOf,
} from '#x509'
import { Custody, holdsKeyOf, type Issuing, type KeyHolder, mismatch } from './custody.js'
import { CaError } from './errors.js'
import { issuingProfile, lifetimes, rootProfile } from './profiles.js'
import { validityFrom } from './validity.js'

export interface IssuerOptions {
  readonly directory: string
  readonly trustDomain: TrustDomain
  readonly audit: AuditTrail
  readonly now: () => number
  readonly newSerial: () => CertificateSerial
}

/** Each is in use for two months: their leaves have a path for a year and a half. */
const formerIssuers = 8

/** A CA certificate in the forms that others ask for. */
export interface CaCertificate {
  readonly der: Uint8Array
  readonly pem: string
  readonly spkiHash: Fingerprint
  readonly subject: string
  /** Milliseconds since 1970. */
  readonly validity: Validity
}

/**
 * The root and the issuing CA of one trust domain. The first run makes both; a later one opens them, and finishes what a
 * crash left undone: as long as no root certificate stands there, nothing was ever signed. The audit log names a CA
 * before its file stands, so that none ever signs unnamed.
 */
export class Issuer {
  readonly #options: IssuerOptions
  readonly #custody: Custody
  readonly root: CaCertificate
  #holder: Issuing
  #issuing: CaCertificate
  /** Newest first. */
  #former: readonly CaCertificate[]
  #renewing: Promise<void> | undefined

  /** @throws CaError */
  static async open(options: IssuerOptions): Promise<Issuer> {
    const custody = await Custody.open(options.directory)
    const root = await openRoot(custody, options)
    const found = await custody.issuing()
    const holder = found ?? (await createIssuing(custody, root, options))
    checkIssuing(holder.certificate, root, options.trustDomain)
    const issuer = new Issuer(options, custody, root, holder)
    await issuer.renewIfDue()
    return issuer
  }

  private constructor(options: IssuerOptions, custody: Custody, root: Uint8Array, holder: Issuing) {
    this.#options = options
    this.#custody = custody
    this.root = describe(root)
    this.#holder = holder
    this.#issuing = describe(holder.certificate)
    this.#former = holder.former.map(describe)
  }

  get issuing(): CaCertificate {
    return this.#issuing
  }

  /** The CAs that signed whatever leaf of ours is still good: the issuing CA first, then, while it lasts, the one before. */
  get intermediates(): readonly CaCertificate[] {
    const now = this.#options.now()
    return [this.#issuing, ...this.#former.filter(({ validity }) => validity.notAfter > now)]
  }

  /** The same, and those that are over: a device that was away for long shows what one of them has signed. */
  get signers(): readonly CaCertificate[] {
    return [this.#issuing, ...this.#former]
  }

  /** What signs now; ask again for every certificate. */
  get holder(): KeyHolder {
    return this.#holder
  }

  /** A new key and certificate for the issuing CA; the old key is gone, what it signed stays good. @throws CaError */
  async renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined))
    return this.#renewing
  }

  /**
   * Renews in the last third of the issuing CA's life. While the root's key is away, the old one goes on to its end.
   * @throws CaError
   */
  async renewIfDue(): Promise<void> {
    const { validity } = this.#issuing
    const now = this.#options.now()
    if (!isInLastThird(validity, now)) return
    if (now < validity.notAfter && (await this.#custody.rootKey()) === undefined) return
    await this.renew()
  }

  async #renew(): Promise<void> {
    const before = [this.#issuing, ...this.#former].slice(0, formerIssuers)
    const former = before.map(({ der }) => der)
    const holder = await createIssuing(this.#custody, this.root.der, this.#options, former)
    this.#holder = holder
    this.#former = before
    this.#issuing = describe(holder.certificate)
  }
}

async function openRoot(custody: Custody, options: IssuerOptions): Promise<Uint8Array> {
  const root = await custody.root()
  if (root === undefined) return createRoot(custody, options)
  const key = await custody.rootKey()
  if (key !== undefined && !holdsKeyOf(key, root)) throw mismatch('the root certificate and its key')
  checkTrustDomain(root, options.trustDomain)
  return root
}

async function createRoot(
  custody: Custody,
  { trustDomain, audit, now, newSerial }: IssuerOptions,
): Promise<Uint8Array> {
  if ((await custody.issuing()) !== undefined) {
    throw new CaError('CA_INCOMPLETE', 'the issuing CA is there and the root certificate is not: restore root.pem')
  }
  const privateKey = (await custody.rootKey()) ?? createKeyPair('P-384').privateKey
  await custody.keepRootKey(privateKey)
  const validity = validityFrom(now(), lifetimes.root)
  const spec = rootProfile({ trustDomain, spki: publicHalf(privateKey), serial: newSerial(), validity })
  const root = await createCertificate(spec, { privateKey })
  await recordCreation(audit, root)
  await custody.keepRoot(root)
  return root
}

async function createIssuing(
  custody: Custody,
  root: Uint8Array,
  options: IssuerOptions,
  former: readonly Uint8Array[] = [],
): Promise<Issuing> {
  const rootKey = await custody.rootKey()
  if (rootKey === undefined) {
    throw new CaError('ROOT_KEY_ABSENT', 'a new issuing CA needs the key of the root: put root.key.pem back')
  }
  const { trustDomain, audit, now, newSerial } = options
  const { privateKey, publicKey } = createKeyPair('P-256')
  const validity = validityFrom(now(), lifetimes.issuing, describe(root).validity.notAfter)
  const spec = issuingProfile({ trustDomain, spki: spkiOf(publicKey), serial: newSerial(), validity })
  const certificate = await createCertificate(spec, { privateKey: rootKey, certificate: root })
  await recordCreation(audit, certificate)
  const issuing = { privateKey, certificate, former }
  await custody.keepIssuing(issuing)
  return issuing
}

async function recordCreation(audit: AuditTrail, certificate: Uint8Array): Promise<void> {
  const { subject } = describe(certificate)
  const fingerprint = fingerprintOf(certificate)
  await audit.whenDurable(audit.append({ event: 'ca.create', subject, fingerprint, certificate }))
}

function checkIssuing(issuing: Uint8Array, root: Uint8Array, trustDomain: TrustDomain): void {
  const certificate = new X509Certificate(issuing)
  const parent = new X509Certificate(root)
  if (!certificate.checkIssued(parent) || !certificate.verify(parent.publicKey)) {
    throw mismatch('the issuing CA and the root')
  }
  checkTrustDomain(issuing, trustDomain)
}

function checkTrustDomain(certificate: Uint8Array, trustDomain: TrustDomain): void {
  const { subjectAltName } = new X509Certificate(certificate)
  if (subjectAltName === `URI:spiffe://${trustDomain}`) return
  throw new CaError('CA_MISMATCH', `expected a CA of the trust domain ${trustDomain}, got ${subjectAltName ?? 'none'}`)
}

function describe(der: Uint8Array): CaCertificate {
  const certificate = new X509Certificate(der)
  return {
    der,
    pem: encodePem('CERTIFICATE', der),
    spkiHash: spkiHash(spkiOf(certificate.publicKey)),
    subject: certificate.subject,
    validity: validityOf(certificate),
  }
}

function publicHalf(privateKey: KeyObject): Uint8Array {
  return spkiOf(createPublicKey(privateKey))
}
