import { activateCredential, certify, pcrRead, quote, sign } from '../commands/attestation.js'
import { emptyPassword } from '../commands/command.js'
import { create, createPrimary, load } from '../commands/objects.js'
import { policySecret, startPolicySession } from '../commands/sessions.js'
import { TpmError } from '../errors.js'
import { certificateIndices, readEkCertificates } from '../nv-certificates.js'
import { encodeEcdsaSigValue } from '../structures/ecdsa-der.js'
import type { HierarchyName } from '../structures/names.js'
import { decodePublic, type TpmPublic } from '../structures/public-area.js'
import { decodeSignature } from '../structures/signature.js'
import { attestationKey, type EkTemplate, ekTemplates, signingKey, storageRootKey } from '../templates.js'
import type {
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
import { flushAfter, SavedKeys } from './saved-keys.js'

/** A TPM behind a transport. Nothing stays loaded in it between two operations. */
export class DeviceTpm implements Tpm {
  readonly #transport: Transport
  readonly #keys: SavedKeys
  readonly #endorsementKeys = new Map<EkTemplateName, EndorsementKey>()
  #attestationKey: TpmKey | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(transport: Transport) {
    this.#transport = transport
    this.#keys = new SavedKeys(transport)
  }

  endorsementKeyTemplates(): Promise<readonly EkTemplateName[]> {
    return this.#alone(async () => {
      const indices = await certificateIndices(this.#transport)
      const present = ekTemplates.filter(({ nvIndex }) => indices.has(nvIndex))
      return [...new Set(present.map(({ name }) => name))]
    })
  }

  endorsementKey(name: EkTemplateName): Promise<EndorsementKey> {
    return this.#alone(async () => {
      const known = this.#endorsementKeys.get(name)
      if (known) return known
      const indices = await certificateIndices(this.#transport)
      const template = ekTemplateFor(name, indices)
      const certificates = await readEkCertificates(this.#transport, template, indices)
      const key = { ...(await this.#primary('endorsement', template.public)), template: name, certificates }
      this.#endorsementKeys.set(name, key)
      return key
    })
  }

  attestationKey(): Promise<TpmKey> {
    return this.#alone(async () => (this.#attestationKey ??= await this.#primary('endorsement', attestationKey)))
  }

  createSigningKey(): Promise<StoredSigningKey> {
    return this.#alone(() => this.#underStorageRoot((parent) => create(this.#transport, parent, signingKey)))
  }

  loadSigningKey(stored: StoredSigningKey): Promise<TpmKey> {
    return this.#alone(() =>
      this.#underStorageRoot(async (parent) => {
        const handle = await load(this.#transport, parent, stored)
        return this.#keys.keep({ handle, public: stored.public })
      }),
    )
  }

  sign(key: TpmKey, sha256Digest: Uint8Array): Promise<Uint8Array> {
    return this.#alone(async () => {
      const signature = decodeSignature(
        await this.#keys.withLoaded([key], ([loaded]) => sign(this.#transport, loaded, sha256Digest)),
      )
      if (signature.scheme !== 'ecdsa') throw new TpmError('KEY_UNSUITABLE', 'not an ECDSA key')
      return encodeEcdsaSigValue(signature)
    })
  }

  certify(key: TpmKey, signer: TpmKey, qualifyingData: Uint8Array): Promise<SignedAttestation> {
    return this.#alone(() =>
      this.#keys.withLoaded([key, signer], ([object, by]) => certify(this.#transport, object, by, qualifyingData)),
    )
  }

  quote(signer: TpmKey, qualifyingData: Uint8Array, pcrs: readonly number[]): Promise<Quote> {
    return this.#alone(async () => {
      const values = await this.#readPcrs(pcrs)
      const quoted = await this.#keys.withLoaded([signer], ([by]) => quote(this.#transport, by, qualifyingData, pcrs))
      return { ...quoted, pcrs: values }
    })
  }

  activateCredential(
    attestationKey: TpmKey,
    endorsementKey: EndorsementKey,
    credential: CredentialBlob,
  ): Promise<Uint8Array> {
    return this.#alone(() =>
      this.#keys.withLoaded([attestationKey, endorsementKey], ([ak, ek]) =>
        this.#withEkSession(endorsementKey, (session) =>
          activateCredential(this.#transport, ak, { handle: ek, session }, credential),
        ),
      ),
    )
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#transport.close()
  }

  /** One operation at a time: between its commands it relies on what is loaded. */
  #alone<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(operation)
    this.#turn = result.catch(() => undefined)
    return result
  }

  async #primary(hierarchy: HierarchyName, template: TpmPublic): Promise<TpmKey> {
    return this.#keys.keep(await createPrimary(this.#transport, hierarchy, template))
  }

  async #underStorageRoot<T>(use: (parent: number) => Promise<T>): Promise<T> {
    const { handle } = await createPrimary(this.#transport, 'owner', storageRootKey)
    return flushAfter(this.#transport, [handle], () => use(handle))
  }

  /** Low-range EKs open by policy A alone; those of the high range also by their empty authorization value. */
  async #withEkSession<T>(ek: EndorsementKey, use: (session: number) => Promise<T>): Promise<T> {
    if (decodePublic(ek.public).attributes.userWithAuth) return use(emptyPassword)
    const session = await startPolicySession(this.#transport)
    return flushAfter(this.#transport, [session], async () => {
      await policySecret(this.#transport, 'endorsement', session)
      return use(session)
    })
  }

  /** A TPM gives at most eight values at once (TPML_DIGEST, Part 2 table 112). */
  async #readPcrs(pcrs: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>> {
    const values = new Map<number, Uint8Array>()
    for (let left = [...pcrs]; left.length > 0; left = left.filter((pcr) => !values.has(pcr))) {
      const read = await pcrRead(this.#transport, left)
      const wanted = [...read].filter(([pcr]) => left.includes(pcr))
      if (wanted.length === 0) {
        throw new TpmError('TPM_COMMAND_FAILED', `the TPM has no SHA-256 bank with PCR ${left.join()}`)
      }
      for (const [pcr, value] of wanted) values.set(pcr, value)
    }
    return values
  }
}

/** The template whose certificate the TPM holds; where it holds none of that name, the low-range one. */
function ekTemplateFor(name: EkTemplateName, indices: ReadonlySet<number>): EkTemplate {
  const candidates = ekTemplates.filter((template) => template.name === name)
  const template = candidates.find(({ nvIndex }) => indices.has(nvIndex)) ?? candidates[0]
  if (template === undefined) throw new TpmError('KEY_UNSUITABLE', `there is no EK template ${name}`)
  return template
}
