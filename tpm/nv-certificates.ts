import { joinLimits } from '#protocol'
import { readHandles } from './commands/capabilities.js'
import { nvRead, nvReadPublic } from './commands/nv.js'
import { type EkTemplate, ekChainIndices } from './templates.js'
import type { Transport } from './transport/transport.js'

const firstNvIndex = 0x01c00000
const maxNvIndices = 254
const chunkBytes = 512
const maxNvBytes = 16 * 1024
/** Of all the indices of a chain together. */
const maxChainBytes = 64 * 1024

/** The NV indices in the range that the TCG sets aside for certificates (TCG EK Credential Profile §2.2.1). */
export async function certificateIndices(transport: Transport): Promise<ReadonlySet<number>> {
  return new Set(await readHandles(transport, firstNvIndex, maxNvIndices))
}

/** DER certificates, as many as a join may show: the EK's own first, then those above it, from the chain's indices. */
export async function readEkCertificates(
  transport: Transport,
  template: EkTemplate,
  indices: ReadonlySet<number>,
): Promise<readonly Uint8Array[]> {
  const [own] = indices.has(template.nvIndex) ? splitCertificates(await readNv(transport, template.nvIndex)) : []
  if (own === undefined) return []
  const chain = splitCertificates(await readChain(transport, indices))
  return [own, ...chain.slice(0, joinLimits.maxCertificates - 1)]
}

/** One certificate may begin in an index and end in the next, so they are read as one (§2.2.1.5). */
async function readChain(transport: Transport, indices: ReadonlySet<number>): Promise<Uint8Array> {
  const { first, last } = ekChainIndices
  const parts: Uint8Array[] = []
  let left = maxChainBytes
  for (const index of [...indices].filter((one) => one >= first && one <= last).sort((a, b) => a - b)) {
    if (left <= 0) break
    const part = await readNv(transport, index)
    parts.push(part)
    left -= part.length
  }
  return Buffer.concat(parts)
}

async function readNv(transport: Transport, index: number): Promise<Uint8Array> {
  const { size } = await nvReadPublic(transport, index)
  const parts: Uint8Array[] = []
  for (let offset = 0; offset < Math.min(size, maxNvBytes); offset += chunkBytes) {
    parts.push(await nvRead(transport, index, offset, Math.min(chunkBytes, size - offset)))
  }
  return Buffer.concat(parts)
}

/**
 * Certificates that follow one another. Manufacturers fill what is left of an index with zeros or 0xff, and some wrap
 * each certificate as TPM 1.2 did; neither is part of it.
 */
export function splitCertificates(bytes: Uint8Array): readonly Uint8Array[] {
  const found: Uint8Array[] = []
  let at = startOfNext(bytes, 0)
  for (;;) {
    const length = derLength(bytes.subarray(at))
    if (length === undefined || at + length > bytes.length) return found
    found.push(Uint8Array.from(bytes.subarray(at, at + length)))
    at = startOfNext(bytes, at + length)
  }
}

function startOfNext(bytes: Uint8Array, from: number): number {
  let at = from
  while (bytes[at] === 0x00 || bytes[at] === 0xff) at++
  return at + storedCertificateHeader(bytes.subarray(at))
}

/**
 * TCG_PCCLIENT_STORED_CERT, type "full", before TCG_FULL_CERT (TCG PC Client Implementation for Conventional BIOS 1.2
 * §7.4.5): tag 0x1001, type 0, size, tag 0x1002. How many bytes of it stand here; its size says nothing that the
 * certificate's own does not.
 */
function storedCertificateHeader([tagHigh, tagLow, type, , , fullHigh, fullLow]: Uint8Array): number {
  if (tagHigh !== 0x10 || tagLow !== 0x01 || type !== 0) return 0
  return fullHigh === 0x10 && fullLow === 0x02 ? 7 : 5
}

/** Tag and length of a SEQUENCE of up to 64 KiB (X.690 §8.1.3), with its contents. */
function derLength([tag, first = 0, high = 0, low = 0]: Uint8Array): number | undefined {
  if (tag !== 0x30) return undefined
  if (first < 0x80) return 2 + first
  if (first === 0x81) return 3 + high
  if (first === 0x82) return 4 + high * 256 + low
  return undefined
}
