import { seeded } from '../seeded.js'

/** Draws from bytes that are right some that are not, the same ones on every run. */
export function mutations(seed: number): (bytes: Uint8Array) => Uint8Array {
  const below = seeded(seed)
  const at = (bytes: Uint8Array): number => below(Math.max(1, bytes.length))
  const kinds: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
    function flipBit(bytes) {
      return changed(bytes, at(bytes), (byte) => byte ^ (1 << below(8)))
    },
    function otherByte(bytes) {
      return changed(bytes, at(bytes), () => below(256))
    },
    function truncate(bytes) {
      return bytes.slice(0, at(bytes))
    },
    function extend(bytes) {
      return Uint8Array.from([...bytes, ...Array.from({ length: 1 + below(64) }, () => below(256))])
    },
    /** Sizes and counts are of two or four bytes: one more, one fewer, none, or as many as can be written. */
    function lieAboutSize(bytes) {
      const width = below(2) === 0 ? 2 : 4
      const start = at(bytes)
      if (start + width > bytes.length) return bytes
      const copy = Buffer.from(bytes)
      const value = copy.readUIntBE(start, width)
      const most = 256 ** width - 1
      const lies = [value + 1, value - 1, 0, most, below(most), bytes.length]
      copy.writeUIntBE(Math.min(most, Math.max(0, lies[below(lies.length)] ?? 0)), start, width)
      return Uint8Array.from(copy)
    },
    function cutOut(bytes) {
      const start = at(bytes)
      return Uint8Array.from([...bytes.subarray(0, start), ...bytes.subarray(start + 1 + below(8))])
    },
    function repeatPart(bytes) {
      const start = at(bytes)
      const part = bytes.subarray(start, start + 1 + below(64))
      return Uint8Array.from([...bytes.subarray(0, start), ...part, ...bytes.subarray(start)])
    },
    function fillPart(bytes) {
      return Uint8Array.from(bytes).fill(below(2) * 0xff, at(bytes), at(bytes))
    },
  ]
  const once = (bytes: Uint8Array): Uint8Array => kinds[below(kinds.length)]?.(bytes) ?? bytes
  return (bytes) => {
    let mutated = once(bytes)
    while (below(4) === 0) mutated = once(mutated)
    return mutated
  }
}

function changed(bytes: Uint8Array, at: number, to: (byte: number) => number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  if (at < copy.length) copy[at] = to(copy[at] ?? 0)
  return copy
}
