import { activateCredential, certify, pcrRead, quote, sign } from '../commands/attestation.js'
import { create, createPrimary, load, type LoadedObject } from '../commands/objects.js'
import { policySecret } from '../commands/sessions.js'
import { TpmError } from '../errors.js'
import { certificateIndices, readEkCertificates } from '../nv-certificates.js'
import type { Session } from '../sessions/session.js'
import { startSession } from '../sessions/start-session.js'
import { encodeEcdsaSigValue } from '../structures/ecdsa-der.js'
import type { TpmPublic } from '../structures/public-area.js'
import { attestationKey, type EkTemplate, ekTemplates, signingKey, storageRootKey } from '../templates.js'
import type {
  Chip,
  CredentialBlob,
  EkTemplateName,
  EndorsementKey,
  Quote,
  SignedAttestation,
  StoredSigningKey,
  Tpm,
  TpmKey,
} from '../tpm.js'
import type { Transport } from '../transport/transport.js'
import { Turns } from '../transport/turns.js'
import { readChip } from './chip.js'
import { TidyTpm } from './loaded.js'
import { readQuotedPcrs } from './quoted-pcrs.js'
import { flushAfter, SavedKeys } from './saved-keys.js'

/**
 * A TPM behind a transport. Nothing stays loaded in it between two operations. Whatever uses a key goes through a session
 * that is salted for a key inside: for the activation of a credential the EK, for everything else the storage root key.
 */
export class DeviceTpm implements Tpm {
  readonly #transport: Transport
  readonly #keys: SavedKeys
  readonly #tidy: TidyTpm
  /** One operation at a time: between its commands it relies on what is loaded. */
  readonly #turns = new Turns()
  readonly #endorsementKeys = new Map<EkTemplateName, EndorsementKey>()
  #attestationKey: TpmKey | undefined
  #storageRootKey: TpmKey | undefined

  constructor(transport: Transport) {
    this.#transport = transport
    this.#keys = new SavedKeys(transport)
    this.#tidy = new TidyTpm(transport)
  }

  endorsementKeyTemplates(): Promise<readonly EkTemplateName[]> {
    return this.#alone(async () => {
      const indices = await certificateIndices(this.#transport)
      const present = ekTemplates.filter(({ nvIndex }) => indices.has(nvIndex))
      return [...new Set(present.map(({ name }) => name))]
    })
  }

  chip(): Promise<Chip> {
    return this.#alone(() => readChip(this.#transport))
  }

  endorsementKey(name: EkTemplateName): Promise<EndorsementKey> {
    return this.#alone(async () => {
      const known = this.#endorsementKeys.get(name)
      if (known) return known
      const indices = await certificateIndices(this.#transport)
      const template = ekTemplateFor(name, indices)
      const certificates = await readEkCertificates(this.#transport, template, indices)
      const key = { ...(await this.#endorsed(template.public)), template: name, certificates }
      this.#endorsementKeys.set(name, key)
      return key
    })
  }

  attestationKey(): Promise<TpmKey> {
    return this.#alone(async () => (this.#attestationKey ??= await this.#endorsed(attestationKey)))
  }

  createSigningKey(): Promise<StoredSigningKey> {
    return this.#alone(() =>
      this.#underStorageRoot((parent, session) => create(this.#transport, parent, signingKey, session)),
    )
  }

  loadSigningKey(stored: StoredSigningKey): Promise<TpmKey> {
    return this.#alone(() =>
      this.#underStorageRoot(async (parent, session) =>
        this.#keys.keep(await load(this.#transport, parent, stored, session)),
      ),
    )
  }

  sign(key: TpmKey, sha256Digest: Uint8Array): Promise<Uint8Array> {
    return this.#alone(async () => {
      const signature = await this.#withKeys([key], ([by], session) => sign(this.#transport, by, sha256Digest, session))
      if (signature.scheme !== 'ecdsa') throw new TpmError('KEY_UNSUITABLE', 'not an ECDSA key')
      return encodeEcdsaSigValue(signature)
    })
  }

  certify(key: TpmKey, signer: TpmKey, qualifyingData: Uint8Array): Promise<SignedAttestation> {
    return this.#alone(() =>
      this.#withKeys([key, signer], ([object, by], session) =>
        certify(this.#transport, object, by, qualifyingData, session),
      ),
    )
  }

  quote(signer: TpmKey, qualifyingData: Uint8Array, pcrs: readonly number[]): Promise<Quote> {
    return this.#alone(() =>
      this.#withKeys([signer], ([by], session) =>
        readQuotedPcrs({
          quote: () => quote(this.#transport, by, qualifyingData, pcrs, session),
          read: (left) => pcrRead(this.#transport, left),
          pcrs,
        }),
      ),
    )
  }

  activateCredential(
    attestationKey: TpmKey,
    endorsementKey: EndorsementKey,
    credential: CredentialBlob,
  ): Promise<Uint8Array> {
    return this.#alone(() =>
      this.#keys.withLoaded([attestationKey, endorsementKey], ([ak, ek]) =>
        this.#underEk(ek, (session) => activateCredential(this.#transport, ak, ek, credential, session)),
      ),
    )
  }

  async close(): Promise<void> {
    await this.#turns.idle()
    await this.#transport.close()
  }

  #alone<T>(operation: () => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      try {
        return await this.#tidy.leavingNothing(operation)
      } catch (error) {
        this.#storageRootKey = undefined // it may be why: not the TPM's own, or saved before the TPM was reset
        throw error
      }
    })
  }

  /** A primary in the endorsement hierarchy, whose seed is the maker's. */
  async #endorsed(template: TpmPublic): Promise<TpmKey> {
    return this.#withKeys([], async (_, session) =>
      this.#keys.keep(await createPrimary(this.#transport, 'endorsement', template, session)),
    )
  }

  /** The keys are loaded after the session has begun: with the storage root key there might not be room for all. */
  async #withKeys<Keys extends readonly TpmKey[], T>(
    keys: readonly [...Keys],
    use: (loaded: { readonly [Index in keyof Keys]: LoadedObject }, session: Session) => Promise<T>,
  ): Promise<T> {
    const session = await this.#keys.withLoaded([await this.#storageRoot()], ([root]) =>
      startSession(this.#transport, root, { kind: 'hmac' }),
    )
    return flushAfter(this.#transport, [session.handle], () =>
      this.#keys.withLoaded(keys, (loaded) => use(loaded, session)),
    )
  }

  async #underStorageRoot<T>(use: (parent: LoadedObject, session: Session) => Promise<T>): Promise<T> {
    return this.#withKeys([await this.#storageRoot()], ([parent], session) => use(parent, session))
  }

  /** Made without a session, for this is what the sessions are salted for. */
  async #storageRoot(): Promise<TpmKey> {
    return (this.#storageRootKey ??= await this.#keys.keep(
      await createPrimary(this.#transport, 'owner', storageRootKey),
    ))
  }

  /** Low-range EKs open by policy A alone; those of the high range also by their empty authorization value. */
  async #underEk<T>(ek: LoadedObject, use: (session: Session) => Promise<T>): Promise<T> {
    const kind = ek.area.attributes.userWithAuth ? 'hmac' : 'policy'
    const session = await startSession(this.#transport, ek, { kind, hash: ek.area.nameAlg })
    return flushAfter(this.#transport, [session.handle], async () => {
      if (kind === 'policy') await policySecret(this.#transport, 'endorsement', session)
      return use(session)
    })
  }
}

/** The template whose certificate the TPM holds; where it holds none of that name, the low-range one. */
function ekTemplateFor(name: EkTemplateName, indices: ReadonlySet<number>): EkTemplate {
  const candidates = ekTemplates.filter((template) => template.name === name)
  const template = candidates.find(({ nvIndex }) => indices.has(nvIndex)) ?? candidates[0]
  if (template === undefined) throw new TpmError('KEY_UNSUITABLE', `there is no EK template ${name}`)
  return template
}
