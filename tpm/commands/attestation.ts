import { algorithmIds } from '../structures/algorithms.js'
import { type TpmReader, TpmWriter } from '../structures/codec.js'
import { hierarchies } from '../structures/names.js'
import { encodePcrSelections, readPcrSelections } from '../structures/pcrs.js'
import type { CredentialBlob, SignedAttestation } from '../tpm.js'
import type { Transport } from '../transport/transport.js'
import { emptyPassword, execute } from './command.js'

/*
 * What a TPM says with the keys that are loaded in it.
 */

const nothing = new Uint8Array(0)
const maxAttestBytes = 2048
const maxDigestBytes = 64
/** TPM_ST_HASHCHECK (Part 2 table 19), of a ticket that says nothing. */
const hashCheckTag = 0x8024

/** TPM2_Sign (Part 3 §20.2), over a SHA-256 digest, with the scheme that the key is bound to; gives the TPMT_SIGNATURE. */
export function sign(transport: Transport, key: number, digest: Uint8Array): Promise<Uint8Array> {
  const parameters = new TpmWriter()
    .sized(digest)
    .uint16(algorithmIds.null)
    .uint16(hashCheckTag)
    .uint32(hierarchies.null)
    .sized(nothing)
    .encoded()
  return execute(transport, { name: 'Sign', handles: [key], sessions: [emptyPassword], parameters }, (reader) =>
    reader.rest(),
  )
}

/** TPM2_Certify (Part 3 §18.2). */
export function certify(
  transport: Transport,
  object: number,
  signer: number,
  qualifyingData: Uint8Array,
): Promise<SignedAttestation> {
  const parameters = new TpmWriter().sized(qualifyingData).uint16(algorithmIds.null).encoded()
  return execute(
    transport,
    { name: 'Certify', handles: [object, signer], sessions: [emptyPassword, emptyPassword], parameters },
    readAttestation,
  )
}

/** TPM2_Quote (Part 3 §18.4), over the SHA-256 bank. */
export function quote(
  transport: Transport,
  signer: number,
  qualifyingData: Uint8Array,
  pcrs: readonly number[],
): Promise<SignedAttestation> {
  const parameters = new TpmWriter()
    .sized(qualifyingData)
    .uint16(algorithmIds.null)
    .bytes(encodePcrSelections([{ hash: 'sha256', pcrs }]))
    .encoded()
  return execute(
    transport,
    { name: 'Quote', handles: [signer], sessions: [emptyPassword], parameters },
    readAttestation,
  )
}

/** TPM2_PCR_Read (Part 3 §22.4): the values of as many of the wanted registers as the TPM gives at once, at most eight. */
export function pcrRead(transport: Transport, pcrs: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>> {
  const parameters = encodePcrSelections([{ hash: 'sha256', pcrs }])
  return execute(transport, { name: 'PCR_Read', parameters }, (reader) => {
    reader.uint32() // the update counter
    const read = readPcrSelections(reader).flatMap((selection) => selection.pcrs)
    const values = Array.from({ length: Math.min(reader.uint32(), read.length) }, () => reader.sized(maxDigestBytes))
    return new Map(values.map((value, index) => [read[index] ?? -1, value]))
  })
}

/** TPM2_ActivateCredential (Part 3 §12.5): both keys must be here, and the EK's own policy be met. */
export function activateCredential(
  transport: Transport,
  attestationKey: number,
  endorsementKey: { readonly handle: number; readonly session: number },
  { credentialBlob, encryptedSecret }: CredentialBlob,
): Promise<Uint8Array> {
  return execute(
    transport,
    {
      name: 'ActivateCredential',
      handles: [attestationKey, endorsementKey.handle],
      sessions: [emptyPassword, endorsementKey.session],
      parameters: new TpmWriter().sized(credentialBlob).sized(encryptedSecret).encoded(),
    },
    (reader) => reader.sized(maxDigestBytes),
  )
}

function readAttestation(reader: TpmReader): SignedAttestation {
  return { attest: reader.sized(maxAttestBytes), signature: reader.rest() }
}
