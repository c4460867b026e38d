import { TpmError } from '../errors.js'
import { TpmWriter } from '../structures/codec.js'
import type { Transport } from '../transport/transport.js'
import { execute } from './command.js'

/** TPM_CAP_HANDLES and TPM_CAP_TPM_PROPERTIES (Part 2 §6.12). */
const handlesCapability = 1
const propertiesCapability = 6

/** TPM2_GetCapability (Part 3 §30.2): the handles of one kind that exist, from `first` on, at most `count` of them. */
export function readHandles(transport: Transport, first: number, count: number): Promise<readonly number[]> {
  const parameters = new TpmWriter().uint32(handlesCapability).uint32(first).uint32(count).encoded()
  return execute(transport, { name: 'GetCapability', parameters }, (reader) => {
    reader.yesNo() // whether there is more than was asked for
    const capability = reader.uint32()
    const found = reader.uint32()
    if (capability !== handlesCapability || found > count) {
      throw new TpmError('STRUCTURE_INVALID', `${found} values of capability ${capability}`)
    }
    return Array.from({ length: found }, () => reader.uint32())
  })
}

/** The same for properties (TPM_PT, Part 2 §6.13), by their tags. */
export function readProperties(
  transport: Transport,
  first: number,
  count: number,
): Promise<ReadonlyMap<number, number>> {
  const parameters = new TpmWriter().uint32(propertiesCapability).uint32(first).uint32(count).encoded()
  return execute(transport, { name: 'GetCapability', parameters }, (reader) => {
    reader.yesNo()
    const capability = reader.uint32()
    const found = reader.uint32()
    if (capability !== propertiesCapability || found > count) {
      throw new TpmError('STRUCTURE_INVALID', `${found} values of capability ${capability}`)
    }
    return new Map(Array.from({ length: found }, () => [reader.uint32(), reader.uint32()] as const))
  })
}
