import { TpmError } from '../errors.js'
import { type TpmReader, TpmWriter } from '../structures/codec.js'
import type { Transport } from '../transport/transport.js'
import { execute } from './command.js'

/** TPM_CAP_HANDLES and TPM_CAP_TPM_PROPERTIES (Part 2 §6.12). */
const handlesCapability = 1
const propertiesCapability = 6

/** The handles of one kind that exist, from `first` on, at most `count` of them. */
export function readHandles(transport: Transport, first: number, count: number): Promise<readonly number[]> {
  return getCapability(transport, { capability: handlesCapability, first, count }, (reader) => reader.uint32())
}

/** Properties (TPM_PT, Part 2 §6.13) by their tags. */
export async function readProperties(
  transport: Transport,
  first: number,
  count: number,
): Promise<ReadonlyMap<number, number>> {
  const asked = { capability: propertiesCapability, first, count }
  return new Map(await getCapability(transport, asked, (reader) => [reader.uint32(), reader.uint32()] as const))
}

/** TPM2_GetCapability (Part 3 §30.2). */
function getCapability<T>(
  transport: Transport,
  asked: { readonly capability: number; readonly first: number; readonly count: number },
  read: (reader: TpmReader) => T,
): Promise<readonly T[]> {
  const parameters = new TpmWriter().uint32(asked.capability).uint32(asked.first).uint32(asked.count).encoded()
  return execute(transport, { name: 'GetCapability', parameters }, (reader) => {
    reader.yesNo() // whether there is more than was asked for
    const capability = reader.uint32()
    const found = reader.uint32()
    if (capability !== asked.capability || found > asked.count) {
      throw new TpmError('STRUCTURE_INVALID', `${found} values of capability ${capability}`)
    }
    return Array.from({ length: found }, () => read(reader))
  })
}
