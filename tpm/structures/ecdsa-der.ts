/** Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER } (RFC 3279 §2.2.3), from scalars of any length. */
export function encodeEcdsaSigValue({ r, s }: { readonly r: Uint8Array; readonly s: Uint8Array }): Uint8Array {
  const contents = Buffer.concat([integer(r), integer(s)])
  return Uint8Array.from([0x30, contents.length, ...contents])
}

/** The shortest form, and positive (X.690 §8.3). */
function integer(scalar: Uint8Array): Uint8Array {
  const start = scalar.findIndex((byte) => byte !== 0)
  const digits = start < 0 ? [0] : [...scalar.subarray(start)]
  const positive = (digits[0] ?? 0) >= 0x80 ? [0, ...digits] : digits
  return Uint8Array.from([0x02, positive.length, ...positive])
}
