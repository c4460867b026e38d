import { TpmError } from '../errors.js'
import { algorithmIds } from '../structures/algorithms.js'
import { decodeAttest, type TpmAttest } from '../structures/attest.js'
import { type TpmReader, TpmWriter } from '../structures/codec.js'
import { hierarchies } from '../structures/names.js'
import { encodePcrSelections, readPcrSelections } from '../structures/pcrs.js'
import { decodeSignature, type TpmSignature } from '../structures/signature.js'
import type { CredentialBlob, SignedAttestation } from '../tpm.js'
import type { Transport } from '../transport/transport.js'
import { type Authorization, emptyPassword } from './authorization.js'
import { type Entity, execute } from './command.js'

/*
 * What a TPM says and opens with the keys that are loaded in it.
 */

const nothing = new Uint8Array(0)
const maxAttestBytes = 2048
const maxDigestBytes = 64
const pcrBytes = 32
/** TPM_ST_HASHCHECK (Part 2 §6.9), of a ticket that says nothing. */
const hashCheckTag = 0x8024

/** TPM2_Sign (Part 3 §20.2), over a SHA-256 digest, with the scheme that the key is bound to. */
export function sign(
  transport: Transport,
  key: Entity,
  digest: Uint8Array,
  authorization: Authorization,
): Promise<TpmSignature> {
  const parameters = new TpmWriter()
    .sized(digest)
    .uint16(algorithmIds.null)
    .uint16(hashCheckTag)
    .uint32(hierarchies.null)
    .sized(nothing)
    .encoded()
  return execute(transport, { name: 'Sign', handles: [key], authorizations: [authorization], parameters }, (reader) =>
    decodeSignature(reader.rest()),
  )
}

/** TPM2_Certify (Part 3 §18.2). */
export function certify(
  transport: Transport,
  object: Entity,
  signer: Entity,
  qualifyingData: Uint8Array,
  authorization: Authorization,
): Promise<SignedAttestation> {
  const parameters = new TpmWriter().sized(qualifyingData).uint16(algorithmIds.null).encoded()
  const authorizations = [emptyPassword, authorization] // the second one's HMAC speaks of both handles
  return execute(transport, { name: 'Certify', handles: [object, signer], authorizations, parameters }, (reader) =>
    readAttestation(reader, 'certify'),
  )
}

/** TPM2_Quote (Part 3 §18.4), over the SHA-256 bank. */
export function quote(
  transport: Transport,
  signer: Entity,
  qualifyingData: Uint8Array,
  pcrs: readonly number[],
  authorization: Authorization,
): Promise<SignedAttestation> {
  const parameters = new TpmWriter()
    .sized(qualifyingData)
    .uint16(algorithmIds.null)
    .bytes(encodePcrSelections([{ hash: 'sha256', pcrs }]))
    .encoded()
  return execute(
    transport,
    { name: 'Quote', handles: [signer], authorizations: [authorization], parameters },
    (reader) => readAttestation(reader, 'quote'),
  )
}

/** TPM2_PCR_Read (Part 3 §22.4): the values of as many of the wanted registers as the TPM gives at once, at most eight. */
export function pcrRead(transport: Transport, pcrs: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>> {
  const parameters = encodePcrSelections([{ hash: 'sha256', pcrs }])
  return execute(transport, { name: 'PCR_Read', parameters }, (reader) => {
    reader.uint32() // the update counter
    const read = readPcrSelections(reader).flatMap((selection) => selection.pcrs)
    const count = reader.uint32()
    const values = Array.from({ length: Math.min(count, read.length) }, () => reader.sized(pcrBytes))
    if (count !== read.length || values.some(({ length }) => length !== pcrBytes)) {
      throw new TpmError('STRUCTURE_INVALID', `${count} values for ${read.length} registers`)
    }
    return new Map(read.map((pcr, index) => [pcr, values[index] ?? nothing]))
  })
}

/** TPM2_ActivateCredential (Part 3 §12.5): both keys must be here, and the EK's own policy be met. */
export function activateCredential(
  transport: Transport,
  attestationKey: Entity,
  endorsementKey: Entity,
  { credentialBlob, encryptedSecret }: CredentialBlob,
  authorization: Authorization,
): Promise<Uint8Array> {
  return execute(
    transport,
    {
      name: 'ActivateCredential',
      handles: [attestationKey, endorsementKey],
      authorizations: [emptyPassword, authorization],
      parameters: new TpmWriter().sized(credentialBlob).sized(encryptedSecret).encoded(),
    },
    (reader) => reader.sized(maxDigestBytes),
  )
}

/** Both as they came, for they are passed on; but only if they are what they should be. */
function readAttestation(reader: TpmReader, type: TpmAttest['type']): SignedAttestation {
  const attest = reader.sized(maxAttestBytes)
  const signature = reader.rest()
  if (decodeAttest(attest).type !== type) throw new TpmError('STRUCTURE_INVALID', 'an attestation of another kind')
  decodeSignature(signature)
  return { attest, signature }
}
