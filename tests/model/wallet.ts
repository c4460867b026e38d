import { createPrivateKey, type KeyObject } from 'node:crypto'
import { type CertificateFacts, type DeviceId, type DeviceIdentity, type Labels, type Tier } from '#protocol'
import type { Registry } from '#registry'
import { createKeyPair, decodePem, readDeviceIdentity } from '#x509'
import { authority, type Credentials, trustDomain } from '../broker/harness.js'
import { attested, by, issued, profile } from '../registry/world.js'

/** Where it asks for certificates from. */
const peer = '127.0.0.9:5671'

/** What one device can show: each certificate that it was ever given, with its key. */
export class Wallet {
  readonly device: DeviceId
  /** Oldest first. */
  readonly credentials: Credentials[] = []
  readonly #registry: Registry

  constructor(registry: Registry, device: DeviceId) {
    this.#registry = registry
    this.device = device
  }

  /** By its TPM, before it arrives. */
  async register(labels: Labels): Promise<void> {
    const { anchor } = attested(this.device, { ek: this.device })
    await this.#registry.registerDevice({ device: this.device, profile, labels, anchor }, by)
  }

  /** With these credentials, or with a new key; what its TPM proves of the key is the tier. @throws RegistryError */
  async join(tier: Tier, made?: Credentials): Promise<void> {
    const credentials = made ?? (await certify(this.device, tier, createKeyPair('P-256').privateKey))
    const { facts } = read(credentials)
    const attestation = { ...attested(this.device, { ek: this.device, tier }), spkiHash: facts.spkiHash }
    await this.#registry.enroll(issued(this.#registry.planEnrollment(attestation)), facts, { peer })
    this.credentials.push(credentials)
  }

  /** Shows one of its certificates, by default the newest, and is given another for the same key. @throws RegistryError */
  async renew(shown = this.credentials.at(-1)): Promise<void> {
    if (!shown) return
    const { identity } = read(shown)
    const plan = this.#registry.planRenewal(identity, { spkiHash: identity.spkiHash }, peer)
    if (plan.kind === 'repeat') return
    const next = issued(plan)
    const credentials = await certify(this.device, next.tier, createPrivateKey(shown.key))
    await this.#registry.renew(next, read(credentials).facts, { peer })
    this.credentials.push(credentials)
  }
}

async function certify(device: DeviceId, tier: Tier, privateKey: KeyObject): Promise<Credentials> {
  return (await authority).certify(device, { tier, privateKey })
}

function read({ cert }: Credentials): { readonly identity: DeviceIdentity; readonly facts: CertificateFacts } {
  const [certificate = new Uint8Array()] = decodePem(cert, 'CERTIFICATE')
  const identity = readDeviceIdentity(certificate, trustDomain)
  const { fingerprint, serial, spkiHash, tier, notBefore, notAfter } = identity
  const times = { notBefore: notBefore.getTime(), notAfter: notAfter.getTime() }
  return { identity, facts: { fingerprint, serial, spkiHash, tier, ...times, certificate } }
}
