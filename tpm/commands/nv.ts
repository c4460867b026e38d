import { TpmReader, TpmWriter } from '../structures/codec.js'
import type { Transport } from '../transport/transport.js'
import { emptyPassword, execute } from './command.js'

const maxNvPublicBytes = 128
const maxPolicyBytes = 64

/** TPM2_NV_ReadPublic (Part 3 §31.6): how many bytes an NV index holds, from its TPMS_NV_PUBLIC (Part 2 table 224). */
export function nvReadPublic(transport: Transport, index: number): Promise<{ readonly size: number }> {
  return execute(transport, { name: 'NV_ReadPublic', handles: [index] }, (reader) => {
    const area = new TpmReader(reader.sized(maxNvPublicBytes))
    area.bytes(4 + 2 + 4) // index, nameAlg, attributes
    area.sized(maxPolicyBytes)
    const size = area.uint16()
    area.end()
    reader.rest()
    return { size }
  })
}

/** TPM2_NV_Read (Part 3 §31.13), with the index's own authorization value, which is empty for certificates. */
export function nvRead(transport: Transport, index: number, offset: number, size: number): Promise<Uint8Array> {
  const parameters = new TpmWriter().uint16(size).uint16(offset).encoded()
  return execute(
    transport,
    { name: 'NV_Read', handles: [index, index], sessions: [emptyPassword], parameters },
    (reader) => reader.sized(size),
  )
}
