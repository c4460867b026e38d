import { TpmError } from '../errors.js'
import { TpmWriter } from '../structures/codec.js'
import type { Transport } from '../transport/transport.js'
import { execute } from './command.js'

/** TPM_CAP_HANDLES (Part 2 §6.12). */
const handlesCapability = 1

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
