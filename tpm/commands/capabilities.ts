import { TpmWriter } from '../structures/codec.js'
import type { Transport } from '../transport/transport.js'
import { execute } from './command.js'

/** TPM_CAP_HANDLES (Part 2 table 25). */
const handlesCapability = 1

/** TPM2_GetCapability (Part 3 §30.2): the handles of one kind that exist, from `first` on. */
export function readHandles(transport: Transport, first: number, count: number): Promise<readonly number[]> {
  const parameters = new TpmWriter().uint32(handlesCapability).uint32(first).uint32(count).encoded()
  return execute(transport, { name: 'GetCapability', parameters }, (reader) => {
    reader.uint8() // whether there is more than was asked for
    reader.uint32() // the capability, once more
    return Array.from({ length: Math.min(reader.uint32(), count) }, () => reader.uint32())
  })
}
