import { randomBytes } from 'node:crypto'
import { algorithmIds } from './algorithms.js'
import { TpmReader, TpmWriter } from './codec.js'
import { emptyPassword, execute } from './command.js'
import { type HierarchyName, hierarchies } from './names.js'
import { encodePcrSelections, readPcrSelections } from './pcrs.js'
import { encodePublic, type TpmPublic } from './public-area.js'
import type { CredentialBlob, SignedAttestation, StoredSigningKey } from './tpm.js'
import type { Transport } from './transport.js'

/*
 * The TPM 2.0 commands of an identity (Part 3), one function each. A handle that comes out of one of them is loaded
 * until it is flushed.
 */

/** Something loaded, with its TPMT_PUBLIC. */
export interface LoadedObject {
  readonly handle: number
  readonly public: Uint8Array
}

const nothing = new Uint8Array(0)
const maxPublicBytes = 1024
const maxBlobBytes = 2048
const maxDigestBytes = 64
/** TPM_ST_HASHCHECK (Part 2 table 19), of a ticket that says nothing. */
const hashCheckTag = 0x8024
/** TPM_CAP_HANDLES (Part 2 table 25). */
const handlesCapability = 1
/** TPM_SE_POLICY (Part 2 table 20). */
const policySessionType = 1

/** Part 3 §24.1: the same key at every call, for the hierarchy's seed and the template decide it. */
export function createPrimary(
  transport: Transport,
  hierarchy: HierarchyName,
  template: TpmPublic,
): Promise<LoadedObject> {
  return execute(
    transport,
    {
      name: 'CreatePrimary',
      handles: [hierarchies[hierarchy]],
      sessions: [emptyPassword],
      parameters: creationParameters(template),
      givesHandle: true,
    },
    (reader, handle) => {
      const area = reader.sized(maxPublicBytes)
      reader.rest() // creation data, its hash and ticket, and the Name, which is computed here instead
      return { handle, public: area }
    },
  )
}

/** Part 3 §12.1. */
export function create(transport: Transport, parent: number, template: TpmPublic): Promise<StoredSigningKey> {
  return execute(
    transport,
    { name: 'Create', handles: [parent], sessions: [emptyPassword], parameters: creationParameters(template) },
    (reader) => {
      const stored = { private: reader.sized(maxBlobBytes), public: reader.sized(maxPublicBytes) }
      reader.rest()
      return stored
    },
  )
}

/** Part 3 §12.2. */
export function load(transport: Transport, parent: number, stored: StoredSigningKey): Promise<number> {
  const parameters = new TpmWriter().sized(stored.private).sized(stored.public).encoded()
  return execute(
    transport,
    { name: 'Load', handles: [parent], sessions: [emptyPassword], parameters, givesHandle: true },
    (reader, handle) => {
      reader.rest()
      return handle
    },
  )
}

/** Part 3 §28.4. */
export function flushContext(transport: Transport, handle: number): Promise<void> {
  return execute(
    transport,
    { name: 'FlushContext', parameters: new TpmWriter().uint32(handle).encoded() },
    () => undefined,
  )
}

/** Part 3 §28.2: the loaded object, encrypted for this TPM until its next reset, to be kept outside. */
export function contextSave(transport: Transport, handle: number): Promise<Uint8Array> {
  return execute(transport, { name: 'ContextSave', handles: [handle] }, (reader) => reader.rest())
}

/** Part 3 §28.3. */
export function contextLoad(transport: Transport, context: Uint8Array): Promise<number> {
  return execute(transport, { name: 'ContextLoad', parameters: context, givesHandle: true }, (_, handle) => handle)
}

/** Part 3 §20.2, over a SHA-256 digest, with the scheme that the key is bound to; gives the TPMT_SIGNATURE. */
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

/** Part 3 §18.2. */
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

/** Part 3 §18.4, over the SHA-256 bank. */
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

/** Part 3 §22.4: the values of as many of the wanted registers as the TPM gives at once, at most eight. */
export function pcrRead(transport: Transport, pcrs: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>> {
  const parameters = encodePcrSelections([{ hash: 'sha256', pcrs }])
  return execute(transport, { name: 'PCR_Read', parameters }, (reader) => {
    reader.uint32() // the update counter
    const read = readPcrSelections(reader).flatMap((selection) => selection.pcrs)
    const values = Array.from({ length: Math.min(reader.uint32(), read.length) }, () => reader.sized(maxDigestBytes))
    return new Map(values.map((value, index) => [read[index] ?? -1, value]))
  })
}

/** Part 3 §12.5: both keys must be here, and the EK's own policy be met. */
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

/** Part 3 §11.1: unbound and unsalted, to collect the assertions of a policy. */
export function startPolicySession(transport: Transport): Promise<number> {
  const parameters = new TpmWriter()
    .sized(randomBytes(32))
    .sized(nothing)
    .uint8(policySessionType)
    .uint16(algorithmIds.null)
    .uint16(algorithmIds.sha256)
    .encoded()
  const handles = [hierarchies.null, hierarchies.null]
  return execute(transport, { name: 'StartAuthSession', handles, parameters, givesHandle: true }, (reader, handle) => {
    reader.sized(maxDigestBytes)
    return handle
  })
}

/** Part 3 §23.4: shows the session that the caller holds the hierarchy's authorization. */
export function policySecret(transport: Transport, hierarchy: HierarchyName, session: number): Promise<void> {
  const parameters = new TpmWriter().sized(nothing).sized(nothing).sized(nothing).uint32(0).encoded()
  const handles = [hierarchies[hierarchy], session]
  return execute(transport, { name: 'PolicySecret', handles, sessions: [emptyPassword], parameters }, (reader) => {
    reader.rest() // a time-out and a ticket for later use, neither of which was asked for
  })
}

/** Part 3 §30.2: the handles of one kind that exist, from `first` on. */
export function readHandles(transport: Transport, first: number, count: number): Promise<readonly number[]> {
  const parameters = new TpmWriter().uint32(handlesCapability).uint32(first).uint32(count).encoded()
  return execute(transport, { name: 'GetCapability', parameters }, (reader) => {
    reader.uint8() // whether there is more than was asked for
    reader.uint32() // the capability, once more
    return Array.from({ length: Math.min(reader.uint32(), count) }, () => reader.uint32())
  })
}

/** Part 3 §31.6: how many bytes an NV index holds. */
export function nvReadPublic(transport: Transport, index: number): Promise<{ readonly size: number }> {
  return execute(transport, { name: 'NV_ReadPublic', handles: [index] }, (reader) => {
    const area = new TpmReader(reader.sized(maxPublicBytes))
    area.bytes(4 + 2 + 4) // index, nameAlg, attributes
    area.sized(maxDigestBytes)
    const size = area.uint16()
    reader.rest()
    return { size }
  })
}

/** Part 3 §31.13, with the index's own authorization value, which is empty for certificates. */
export function nvRead(transport: Transport, index: number, offset: number, size: number): Promise<Uint8Array> {
  const parameters = new TpmWriter().uint16(size).uint16(offset).encoded()
  return execute(
    transport,
    { name: 'NV_Read', handles: [index, index], sessions: [emptyPassword], parameters },
    (reader) => reader.sized(size),
  )
}

/** An empty password, no sealed data, no creation PCRs. */
function creationParameters(template: TpmPublic): Uint8Array {
  return new TpmWriter()
    .sized(new TpmWriter().sized(nothing).sized(nothing).encoded())
    .sized(encodePublic(template))
    .sized(nothing)
    .uint32(0)
    .encoded()
}

function readAttestation(reader: TpmReader): SignedAttestation {
  return { attest: reader.sized(maxBlobBytes), signature: reader.rest() }
}
