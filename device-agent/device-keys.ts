import type { Tpm } from '#tpm'
import { createSoftwareKeyFile, type KeyFile } from './key-file.js'
import type { SharedTpm } from './shared-tpm.js'
import { SoftwareKey } from './software-key.js'
import type { TpmKey } from './tpm-key.js'

/** Opens the TPM that a text names: `/dev/tpmrm0`, `swtpm:PATH`, `swtpm:HOST:PORT`. */
export type OpenTpm = (spec: string) => Promise<Tpm>

type TpmKeyFile = Extract<KeyFile, { readonly kind: 'tpm' }>

/** The keys of generations, ready to sign and to connect; those in one TPM share it. */
export class DeviceKeys {
  readonly #openTpm: OpenTpm
  readonly #tpms = new Map<string, SharedTpm>()

  constructor(openTpm: OpenTpm) {
    this.#openTpm = openTpm
  }

  /** A key in a TPM asks for the TPM only when it is used. @throws AgentError STATE_INVALID */
  async open(file: KeyFile): Promise<SoftwareKey | TpmKey> {
    if (file.kind === 'software') return SoftwareKey.fromPem(file.pem)
    const { TpmKey } = await import('./tpm-key.js')
    return new TpmKey(await this.#tpm(file.tpm), file.stored)
  }

  /** A fresh key where the other one is: in a file, or in the same TPM and proven in the same way. */
  async createBeside(file: KeyFile): Promise<KeyFile> {
    if (file.kind === 'software') return createSoftwareKeyFile()
    const tpm = await this.#tpm(file.tpm)
    return { ...file, stored: await tpm.use((opened) => opened.createSigningKey()) }
  }

  /** False for one of another TPM, or of this one before it was cleared. */
  async canLoad({ tpm, stored }: TpmKeyFile): Promise<boolean> {
    const [{ isOfThisTpm }, shared] = await Promise.all([import('./tpm-key.js'), this.#tpm(tpm)])
    return shared.use((opened) => isOfThisTpm(opened, stored))
  }

  /** Lets go of the TPMs at once: what is asked of them now fails, and all later. */
  async close(): Promise<void> {
    await Promise.all([...this.#tpms.values()].map((tpm) => tpm.close()))
  }

  async #tpm(spec: string): Promise<SharedTpm> {
    const { SharedTpm } = await import('./shared-tpm.js')
    const known = this.#tpms.get(spec) ?? new SharedTpm({ open: () => this.#openTpm(spec) })
    this.#tpms.set(spec, known)
    return known
  }
}
