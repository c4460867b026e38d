/**
 * One TPM 2.0 as an identity agent uses it: an endorsement key to be recognised by, an attestation key to vouch with,
 * a signing key for TLS. Implemented over a character device or socket here, and in software by the simulators.
 * Byte fields hold TPM structures as the wire carries them (TPM 2.0 Library Part 2), without outer sizes.
 */
export interface Tpm {
  /** The templates for which this TPM holds an EK certificate, best first; empty when there is none at all. */
  endorsementKeyTemplates(): Promise<readonly EkTemplateName[]>

  /** Recreates or loads the EK; its certificate comes from NV where there is one (TCG EK Credential Profile §2.2). */
  endorsementKey(template: EkTemplateName): Promise<EndorsementKey>

  /** The attestation key: a restricted P-256 signing primary in the endorsement hierarchy, the same at every call. */
  attestationKey(): Promise<TpmKey>

  /** A new P-256 signing key under the storage root key: fixedTPM, fixedParent, made in the TPM, not restricted. */
  createSigningKey(): Promise<StoredSigningKey>

  /** @throws TpmError TPM_COMMAND_FAILED when the blob belongs to another TPM. */
  loadSigningKey(stored: StoredSigningKey): Promise<TpmKey>

  /** ECDSA over a SHA-256 digest with an unrestricted key, as DER Ecdsa-Sig-Value (TPM2_Sign). */
  sign(key: TpmKey, sha256Digest: Uint8Array): Promise<Uint8Array>

  /** TPM2_Certify: `signer` vouches that `key` lives in this TPM. */
  certify(key: TpmKey, signer: TpmKey, qualifyingData: Uint8Array): Promise<SignedAttestation>

  /** TPM2_Quote over the SHA-256 bank, with the values that it covers. */
  quote(signer: TpmKey, qualifyingData: Uint8Array, pcrs: readonly number[]): Promise<Quote>

  /** TPM2_ActivateCredential: the secret, which only the TPM that holds both keys can recover. */
  activateCredential(
    attestationKey: TpmKey,
    endorsementKey: EndorsementKey,
    credential: CredentialBlob,
  ): Promise<Uint8Array>

  /** What the chip says of itself: for people, and nothing is decided by it. */
  chip(): Promise<Chip>

  /** Flushes whatever is loaded and lets go of the device. */
  close(): Promise<void>
}

export interface Chip {
  /** As registered with the TCG: `IFX`, `INTC`, `IBM`… */
  readonly manufacturer: string
  readonly model: string
  readonly firmware: string
  /** Too many wrong authorization values: some keys are closed until it has recovered (Part 1 §19.8). */
  readonly inLockout: boolean
}

/** EK templates of the TCG EK Credential Profile: low range (L) and high range (H). */
export type EkTemplateName = 'rsa-2048' | 'rsa-3072' | 'ecc-p256' | 'ecc-p384'

/** A key that is loaded for as long as the `Tpm` is open. `handle` means something to that `Tpm` only. */
export interface TpmKey {
  readonly handle: number
  /** TPMT_PUBLIC. */
  readonly public: Uint8Array
}

export interface EndorsementKey extends TpmKey {
  readonly template: EkTemplateName
  /** DER; the EK's own first, then what NV holds of its chain. Empty when the TPM has none. */
  readonly certificates: readonly Uint8Array[]
}

/** A signing key at rest: only the TPM that made it can load it (TPM2B_PUBLIC and TPM2B_PRIVATE contents). */
export interface StoredSigningKey {
  readonly public: Uint8Array
  readonly private: Uint8Array
}

export interface SignedAttestation {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array
}

export interface Quote extends SignedAttestation {
  /** PCR index to SHA-256 value, for exactly the selected PCRs. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>
}

/** What TPM2_MakeCredential yields: contents of TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET. */
export interface CredentialBlob {
  readonly credentialBlob: Uint8Array
  readonly encryptedSecret: Uint8Array
}
