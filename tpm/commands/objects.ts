import { TpmWriter } from '../structures/codec.js'
import { type HierarchyName, hierarchies } from '../structures/names.js'
import { encodePublic, type TpmPublic } from '../structures/public-area.js'
import type { StoredSigningKey } from '../tpm.js'
import type { Transport } from '../transport/transport.js'
import { emptyPassword, execute } from './command.js'

/*
 * How objects come into a TPM and leave it. A handle that comes out of one of these is loaded until it is flushed.
 */

/** Something loaded, with its TPMT_PUBLIC. */
export interface LoadedObject {
  readonly handle: number
  readonly public: Uint8Array
}

const nothing = new Uint8Array(0)
const maxPublicBytes = 1024
const maxBlobBytes = 2048

/** TPM2_CreatePrimary (Part 3 §24.1): the same key at every call, for the hierarchy's seed and the template decide it. */
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

/** TPM2_Create (Part 3 §12.1). */
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

/** TPM2_Load (Part 3 §12.2). */
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

/** TPM2_FlushContext (Part 3 §28.4). */
export function flushContext(transport: Transport, handle: number): Promise<void> {
  return execute(
    transport,
    { name: 'FlushContext', parameters: new TpmWriter().uint32(handle).encoded() },
    () => undefined,
  )
}

/** TPM2_ContextSave (Part 3 §28.2): the loaded object, encrypted for this TPM until its next reset, to be kept outside. */
export function contextSave(transport: Transport, handle: number): Promise<Uint8Array> {
  return execute(transport, { name: 'ContextSave', handles: [handle] }, (reader) => reader.rest())
}

/** TPM2_ContextLoad (Part 3 §28.3). */
export function contextLoad(transport: Transport, context: Uint8Array): Promise<number> {
  return execute(transport, { name: 'ContextLoad', parameters: context, givesHandle: true }, (_, handle) => handle)
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
