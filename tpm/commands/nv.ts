import { TpmError } from '../errors.js'
import { TpmReader, TpmWriter } from '../structures/codec.js'
import type { Transport } from '../transport/transport.js'
import { emptyPassword } from './authorization.js'
import { execute } from './command.js'

const maxNvPublicBytes = 128
const maxDigestBytes = 64
const maxNameBytes = 2 + 64

/** TPM2_NV_ReadPublic (Part 3 §31.6): how many bytes an NV index holds, from its TPMS_NV_PUBLIC (Part 2 §13.5). */
export function nvReadPublic(transport: Transport, index: number): Promise<{ readonly size: number }> {
  return execute(transport, { name: 'NV_ReadPublic', handles: [{ handle: index }] }, (reader) => {
    const area = new TpmReader(reader.sized(maxNvPublicBytes))
    if (area.uint32() !== index) throw new TpmError('STRUCTURE_INVALID', 'the answer is about another NV index')
    area.uint16() // nameAlg
    area.uint32() // attributes
    area.sized(maxDigestBytes) // authPolicy
    const size = area.uint16()
    area.end()
    reader.sized(maxNameBytes)
    return { size }
  })
}

/**
 * TPM2_NV_Read (Part 3 §31.13), with the index's own authorization value, which is empty for certificates: what they
 * hold is public, and signed by whoever made it.
 */
export function nvRead(transport: Transport, index: number, offset: number, size: number): Promise<Uint8Array> {
  const parameters = new TpmWriter().uint16(size).uint16(offset).encoded()
  const handles = [{ handle: index }, { handle: index }]
  return execute(transport, { name: 'NV_Read', handles, authorizations: [emptyPassword], parameters }, (reader) => {
    const read = reader.sized(size)
    if (read.length < size) throw new TpmError('STRUCTURE_INVALID', `${read.length} bytes of ${size}`)
    return read
  })
}
