import { readHandles } from './commands/capabilities.js'
import { nvRead, nvReadPublic } from './commands/nv.js'
import { type EkTemplate, ekChainIndices } from './templates.js'
import type { Transport } from './transport/transport.js'

const firstNvIndex = 0x01c00000
const maxNvIndices = 254
const chunkBytes = 512
const maxNvBytes = 16 * 1024

/** The NV indices in the range that the TCG sets aside for certificates (TCG EK Credential Profile §2.2.1). */
export async function certificateIndices(transport: Transport): Promise<ReadonlySet<number>> {
  return new Set(await readHandles(transport, firstNvIndex, maxNvIndices))
}

/** DER certificates: the EK's own first, then those above it, from the chain's indices. */
export async function readEkCertificates(
  transport: Transport,
  template: EkTemplate,
  indices: ReadonlySet<number>,
): Promise<readonly Uint8Array[]> {
  const [own] = indices.has(template.nvIndex) ? splitDer(await readNv(transport, template.nvIndex)) : []
  if (own === undefined) return []
  const chain: Uint8Array[] = []
  for (const index of [...indices].sort((left, right) => left - right)) {
    if (index >= ekChainIndices.first && index <= ekChainIndices.last) chain.push(await readNv(transport, index))
  }
  return [own, ...splitDer(Buffer.concat(chain))]
}

async function readNv(transport: Transport, index: number): Promise<Uint8Array> {
  const { size } = await nvReadPublic(transport, index)
  const parts: Uint8Array[] = []
  for (let offset = 0; offset < Math.min(size, maxNvBytes); offset += chunkBytes) {
    parts.push(await nvRead(transport, index, offset, Math.min(chunkBytes, size - offset)))
  }
  return Buffer.concat(parts)
}

/** DER SEQUENCEs that follow one another; manufacturers fill the rest of an index with zeros or 0xff. */
export function splitDer(bytes: Uint8Array): readonly Uint8Array[] {
  const found: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    const length = derLength(bytes.subarray(at))
    if (length === undefined || at + length > bytes.length) break
    found.push(Uint8Array.from(bytes.subarray(at, at + length)))
    at += length
  }
  return found
}

/** Tag and length of a SEQUENCE of up to 64 KiB (X.690 §8.1.3), with its contents. */
function derLength([tag, first = 0, high = 0, low = 0]: Uint8Array): number | undefined {
  if (tag !== 0x30) return undefined
  if (first < 0x80) return 2 + first
  if (first === 0x81) return 3 + high
  if (first === 0x82) return 4 + high * 256 + low
  return undefined
}
