import { createHash, type KeyObject, randomBytes } from 'node:crypto'
import {
  attestationKey,
  type CertifyAttest,
  type Chip,
  type ClockInfo,
  type CredentialBlob,
  decodeEventLog,
  decodePublic,
  type EkTemplateName,
  ekTemplates,
  encodeAttest,
  encodeEcdsaSigValue,
  encodePublic,
  encodeSignature,
  type EndorsementKey,
  type HierarchyName,
  nameOf,
  openCredential,
  pcrDigest,
  qualifiedNameOf,
  type Quote,
  type QuoteAttest,
  replayEventLog,
  type SignedAttestation,
  signingKey,
  storageRootKey,
  type StoredSigningKey,
  toSpki,
  type Tpm,
  TpmError,
  type TpmKey,
  type TpmPublic,
} from '#tpm'
import { signDigest } from './digest-signature.js'
import type { EkAuthority } from './ek-authority.js'
import { generateKey, importKey, publicAreaOf, unwrapKey, wrapKey } from './software-tpm-keys.js'
import { readState, type SoftwareTpmState, writeState } from './software-tpm-state.js'

export interface SoftwareTpmOptions {
  /** Holds the TPM's state: whoever can read it has its keys. A later open finds the same TPM, after a reset. */
  readonly folder: string
  /** EKs to be certified when the TPM is made, or added later. Default `ecc-p256`; without an authority they have no certificate. */
  readonly templates?: readonly EkTemplateName[]
  readonly ekAuthority?: EkAuthority
  /** Milliseconds since 1970; drives the TPM's clock. */
  readonly now: () => number
  /** What the machine has measured since it was switched on. Default: nothing */
  readonly eventLog?: Uint8Array
}

const pcrCount = 24
const maxQualifyingDataBytes = 64
const firmwareVersion = '0000000000000001'
const defaultTemplates: readonly EkTemplateName[] = ['ecc-p256']

/** Opening is this TPM's power-on: the reset count grows, and the PCRs hold what the machine says that it has measured. */
export async function openSoftwareTpm(options: SoftwareTpmOptions): Promise<Tpm> {
  const found = (await readState(options.folder)) ?? newState()
  const { clock, orderly } = found
  const state = { ...(await withEndorsementKeys(found, options)), resetCount: found.resetCount + 1 }
  const tpm = new SoftwareTpm(state, options, { clock, safe: orderly })
  await writeState(options.folder, { ...state, orderly: false })
  return tpm
}

interface LoadedKey {
  readonly area: TpmPublic
  readonly privateKey: KeyObject
  readonly qualifiedName: Uint8Array
}

/**
 * A TPM without a chip: speaks no command bytes, but makes the same structures, and refuses what a TPM refuses.
 * It shows what an enrollment looks like; it protects nothing.
 */
class SoftwareTpm implements Tpm {
  readonly #options: SoftwareTpmOptions
  readonly #openedAt: number
  readonly #clockAtOpen: number
  readonly #safe: boolean
  readonly #pcrs: ReadonlyMap<number, Uint8Array>
  #state: SoftwareTpmState
  /** `TpmKey.handle` is the position in here. */
  readonly #loaded: LoadedKey[] = []

  constructor(state: SoftwareTpmState, options: SoftwareTpmOptions, at: { clock: number; safe: boolean }) {
    this.#state = state
    this.#options = options
    this.#openedAt = options.now()
    this.#clockAtOpen = at.clock
    this.#safe = at.safe
    const { eventLog } = options
    this.#pcrs = eventLog === undefined ? new Map() : replayEventLog(decodeEventLog(eventLog), 'sha256')
  }

  endorsementKeyTemplates(): Promise<readonly EkTemplateName[]> {
    const certified = this.#state.endorsementKeys.filter(({ certificate }) => certificate !== undefined)
    const names = new Set(ekTemplates.map(({ name }) => name))
    return Promise.resolve([...names].filter((name) => certified.some(({ template }) => template === name)))
  }

  async endorsementKey(name: EkTemplateName): Promise<EndorsementKey> {
    if (!this.#state.endorsementKeys.some(({ template }) => template === name)) {
      const uncertified = await newEndorsementKey(name)
      this.#state = { ...this.#state, endorsementKeys: [...this.#state.endorsementKeys, uncertified] }
      await this.#save({ orderly: false })
    }
    const stored = this.#state.endorsementKeys.find(({ template }) => template === name)
    if (stored === undefined) throw refused('HANDLE: no such endorsement key')
    const key = this.#primary('endorsement', templateOf(name), stored.privateKey)
    return { ...key, template: name, certificates: stored.certificate ? [stored.certificate] : [] }
  }

  chip(): Promise<Chip> {
    return Promise.resolve({ manufacturer: 'SOFT', model: 'Touchmark', firmware: '0.1', inLockout: false })
  }

  attestationKey(): Promise<TpmKey> {
    return Promise.resolve(this.#primary('endorsement', attestationKey, this.#state.attestationKey))
  }

  createSigningKey(): Promise<StoredSigningKey> {
    const pkcs8 = generateKey(signingKey)
    const area = encodePublic(publicAreaOf(signingKey, importKey(pkcs8)))
    return Promise.resolve({ public: area, private: wrapKey(this.#state.storageSecret, area, pkcs8) })
  }

  async loadSigningKey(stored: StoredSigningKey): Promise<TpmKey> {
    const privateKey = unwrapKey(this.#state.storageSecret, stored.public, stored.private)
    const area = decodePublic(stored.public)
    const root = publicAreaOf(storageRootKey, importKey(this.#state.storageRootKey))
    return this.#load(area, privateKey, qualifiedNameOf(area, qualifiedNameOf(root, 'owner')))
  }

  async sign(key: TpmKey, sha256Digest: Uint8Array): Promise<Uint8Array> {
    const { area, privateKey } = this.#find(key)
    // A restricted key signs only what the TPM has made, and shows so by a ticket (Part 3 §20.2).
    if (!area.attributes.sign || area.attributes.restricted) throw refused('TICKET: the key signs no outside data')
    if (sha256Digest.length !== 32) throw refused('SIZE: not a SHA-256 digest')
    return encodeEcdsaSigValue(signDigest(privateKey, sha256Digest))
  }

  async certify(key: TpmKey, signer: TpmKey, qualifyingData: Uint8Array): Promise<SignedAttestation> {
    const { area, qualifiedName } = this.#find(key)
    return this.#attest(signer, qualifyingData, { type: 'certify', name: nameOf(area), qualifiedName })
  }

  async quote(signer: TpmKey, qualifyingData: Uint8Array, pcrs: readonly number[]): Promise<Quote> {
    const selected = [...new Set(pcrs)].sort((left, right) => left - right)
    if (selected.some((pcr) => !Number.isInteger(pcr) || pcr < 0 || pcr >= pcrCount)) {
      throw refused('VALUE: no such PCR')
    }
    const values = new Map(selected.map((pcr) => [pcr, this.#pcrs.get(pcr) ?? new Uint8Array(32)]))
    const quoted = this.#attest(signer, qualifyingData, {
      type: 'quote',
      pcrSelections: [{ hash: 'sha256', pcrs: selected }],
      pcrDigest: pcrDigest(values, 'sha256'),
    })
    return { ...quoted, pcrs: values }
  }

  async activateCredential(
    attestationKey: TpmKey,
    endorsementKey: EndorsementKey,
    credential: CredentialBlob,
  ): Promise<Uint8Array> {
    const ek = this.#find(endorsementKey)
    const akName = nameOf(this.#find(attestationKey).area)
    return openCredential({ ekPublic: ek.area, ekPrivate: ek.privateKey }, akName, credential)
  }

  async close(): Promise<void> {
    this.#loaded.length = 0
    await this.#save({ orderly: true })
  }

  #primary(hierarchy: HierarchyName, template: TpmPublic, pkcs8: Uint8Array): TpmKey {
    const privateKey = importKey(pkcs8)
    const area = publicAreaOf(template, privateKey)
    return this.#load(area, privateKey, qualifiedNameOf(area, hierarchy))
  }

  #load(area: TpmPublic, privateKey: KeyObject, qualifiedName: Uint8Array): TpmKey {
    const known = this.#loaded.findIndex((loaded) => Buffer.compare(nameOf(loaded.area), nameOf(area)) === 0)
    const handle = known < 0 ? this.#loaded.push({ area, privateKey, qualifiedName }) - 1 : known
    return { handle, public: encodePublic(area) }
  }

  #find(key: TpmKey): LoadedKey {
    const loaded = this.#loaded[key.handle]
    if (loaded === undefined || Buffer.compare(encodePublic(loaded.area), key.public) !== 0) {
      throw refused('HANDLE: the key is not loaded in this TPM')
    }
    return loaded
  }

  #attest(signer: TpmKey, extraData: Uint8Array, attested: Attested): SignedAttestation {
    const { area, privateKey, qualifiedName } = this.#find(signer)
    if (!area.attributes.sign) throw refused('KEY: not a signing key')
    if (extraData.length > maxQualifyingDataBytes) throw refused('SIZE: too much qualifying data')
    const facts = { qualifiedSigner: qualifiedName, extraData, clockInfo: this.#clockInfo(), firmwareVersion }
    const attest = encodeAttest({ ...facts, ...attested })
    const digest = createHash('sha256').update(attest).digest()
    return {
      attest,
      signature: encodeSignature({ scheme: 'ecdsa', hash: 'sha256', ...signDigest(privateKey, digest) }),
    }
  }

  #clockInfo(): ClockInfo {
    return { clock: this.#clock(), resetCount: this.#state.resetCount, restartCount: 0, safe: this.#safe }
  }

  #clock(): number {
    return this.#clockAtOpen + Math.max(0, Math.floor(this.#options.now() - this.#openedAt))
  }

  async #save({ orderly }: { readonly orderly: boolean }): Promise<void> {
    this.#state = { ...this.#state, clock: this.#clock(), orderly }
    await writeState(this.#options.folder, this.#state)
  }
}

type Attested =
  Pick<CertifyAttest, 'type' | 'name' | 'qualifiedName'> | Pick<QuoteAttest, 'type' | 'pcrSelections' | 'pcrDigest'>

function newState(): SoftwareTpmState {
  return {
    endorsementKeys: [],
    attestationKey: generateKey(attestationKey),
    storageRootKey: generateKey(storageRootKey),
    storageSecret: Uint8Array.from(randomBytes(32)),
    clock: 0,
    resetCount: 0,
    orderly: true,
  }
}

/** Adds the EKs that are missing; those that exist stay as they are, for a TPM is known by them. */
async function withEndorsementKeys(
  state: SoftwareTpmState,
  { templates = defaultTemplates, ekAuthority }: SoftwareTpmOptions,
): Promise<SoftwareTpmState> {
  const missing = templates.filter((name) => !state.endorsementKeys.some(({ template }) => template === name))
  const added = await Promise.all(missing.map((name) => newEndorsementKey(name, ekAuthority)))
  return { ...state, endorsementKeys: [...state.endorsementKeys, ...added] }
}

async function newEndorsementKey(
  template: EkTemplateName,
  authority?: EkAuthority,
): Promise<SoftwareTpmState['endorsementKeys'][number]> {
  const privateKey = generateKey(templateOf(template))
  if (authority === undefined) return { template, privateKey }
  const spki = toSpki(publicAreaOf(templateOf(template), importKey(privateKey)))
  return { template, privateKey, certificate: Uint8Array.from(await authority.issue(spki)) }
}

function templateOf(name: EkTemplateName): TpmPublic {
  const template = ekTemplates.find((candidate) => candidate.name === name)
  if (template === undefined) throw refused('VALUE: no such EK template')
  return template.public
}

function refused(why: string): TpmError {
  return new TpmError('TPM_COMMAND_FAILED', `TPM_RC_${why}`)
}
