import { TpmError } from '../errors.js'
import { TpmReader, TpmWriter } from '../structures/codec.js'
import { readCreation } from '../structures/creation.js'
import { type HierarchyName, hierarchies, nameOf } from '../structures/names.js'
import { decodePublic, encodePublic, templateOf, type TpmPublic } from '../structures/public-area.js'
import type { StoredSigningKey } from '../tpm.js'
import type { Transport } from '../transport/transport.js'
import { type Authorization, emptyPassword } from './authorization.js'
import { type Entity, execute } from './command.js'

/*
 * How objects come into a TPM and leave it. A handle that comes out of one of these is loaded until it is flushed.
 */

/** A key that is in the TPM now. */
export interface LoadedObject extends Required<Entity> {
  readonly area: TpmPublic
}

const nothing = new Uint8Array(0)
const maxPublicBytes = 1024
const maxBlobBytes = 2048
const maxContextBytes = 4000
const maxNameBytes = 2 + 64

/** TPM2_CreatePrimary (Part 3 §24.1): the same key at every call, for the hierarchy's seed and the template decide it. */
export function createPrimary(
  transport: Transport,
  hierarchy: HierarchyName,
  template: TpmPublic,
  authorization: Authorization = emptyPassword,
): Promise<LoadedObject> {
  return execute(
    transport,
    {
      name: 'CreatePrimary',
      handles: [{ handle: hierarchies[hierarchy] }],
      authorizations: [authorization],
      parameters: creationParameters(template),
      gives: 'object',
    },
    (reader, handle) => {
      const area = readMadeBy(template, reader)
      readCreation(reader, area.nameAlg)
      return { handle, area, name: readNameOf(area, reader) }
    },
  )
}

/** TPM2_Create (Part 3 §12.1). */
export function create(
  transport: Transport,
  parent: Entity,
  template: TpmPublic,
  authorization: Authorization,
): Promise<StoredSigningKey> {
  return execute(
    transport,
    {
      name: 'Create',
      handles: [parent],
      authorizations: [authorization],
      parameters: creationParameters(template),
    },
    (reader) => {
      const blob = reader.sized(maxBlobBytes)
      const area = readMadeBy(template, reader)
      readCreation(reader, area.nameAlg)
      return { private: blob, public: encodePublic(area) }
    },
  )
}

/** TPM2_Load (Part 3 §12.2). @throws TpmError STRUCTURE_INVALID for what is no key, before the TPM has to do with it */
export function load(
  transport: Transport,
  parent: Entity,
  stored: StoredSigningKey,
  authorization: Authorization,
): Promise<LoadedObject> {
  const area = decodePublic(stored.public)
  return execute(
    transport,
    {
      name: 'Load',
      handles: [parent],
      authorizations: [authorization],
      parameters: new TpmWriter().sized(stored.private).sized(stored.public).encoded(),
      gives: 'object',
    },
    (reader, handle) => ({ handle, area, name: readNameOf(area, reader) }),
  )
}

/** TPM2_ReadPublic (Part 3 §12.4): the TPMT_PUBLIC of something loaded, as it is. */
export function readPublic(transport: Transport, handle: number): Promise<Uint8Array> {
  return execute(transport, { name: 'ReadPublic', handles: [{ handle }] }, (reader) => {
    const area = reader.sized(maxPublicBytes)
    reader.sized(maxNameBytes)
    reader.sized(maxNameBytes) // the qualified name
    return area
  })
}

/** TPM2_FlushContext (Part 3 §28.4), of an object or a session. */
export function flushContext(transport: Transport, handle: number): Promise<void> {
  const parameters = new TpmWriter().uint32(handle).encoded()
  return execute(transport, { name: 'FlushContext', parameters }, () => undefined)
}

/** TPM2_ContextSave (Part 3 §28.2): the loaded object, encrypted for this TPM until its next reset, to be kept outside. */
export function contextSave(transport: Transport, handle: number): Promise<Uint8Array> {
  return execute(transport, { name: 'ContextSave', handles: [{ handle }] }, (reader) => {
    const context = reader.rest()
    checkContext(context)
    return context
  })
}

/** TPM2_ContextLoad (Part 3 §28.3). */
export function contextLoad(transport: Transport, context: Uint8Array): Promise<number> {
  return execute(transport, { name: 'ContextLoad', parameters: context, gives: 'object' }, (_, handle) => handle)
}

/** An empty authorization value, no sealed data, no outside information, no creation PCRs. */
function creationParameters(template: TpmPublic): Uint8Array {
  return new TpmWriter()
    .sized(new TpmWriter().sized(nothing).sized(nothing).encoded())
    .sized(encodePublic(template))
    .sized(nothing)
    .uint32(0)
    .encoded()
}

/** What comes out of a template differs from it in the key alone. */
function readMadeBy(template: TpmPublic, reader: TpmReader): TpmPublic {
  const area = decodePublic(reader.sized(maxPublicBytes))
  if (Buffer.compare(encodePublic(templateOf(area)), encodePublic(templateOf(template))) !== 0) {
    throw new TpmError('STRUCTURE_INVALID', 'the key that was made is of another kind than was asked for')
  }
  return area
}

function readNameOf(area: TpmPublic, reader: TpmReader): Uint8Array {
  const name = nameOf(area)
  if (Buffer.compare(name, reader.sized(maxNameBytes)) !== 0) {
    throw new TpmError('STRUCTURE_INVALID', 'the key has another Name')
  }
  return name
}

/** TPMS_CONTEXT (Part 2 §14.5). */
function checkContext(context: Uint8Array): void {
  const reader = new TpmReader(context)
  reader.uint64() // sequence
  reader.uint32() // the handle it had
  reader.uint32() // its hierarchy
  reader.sized(maxContextBytes)
  reader.end()
}
