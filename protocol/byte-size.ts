import { ProtocolError } from './errors.js'

const unitBytes: Readonly<Record<string, number>> = {
  ...{ B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
}

/** `500MB`, `20 GiB`: a whole number of bytes, never without its unit. @throws ProtocolError INVALID_MESSAGE */
export function parseByteSize(text: string): number {
  const [, count, unit = ''] = /^([1-9]\d{0,14}) ?([kKMGT]?i?B)$/.exec(text) ?? []
  const bytes = Number(count) * (unitBytes[unit] ?? NaN)
  if (Number.isSafeInteger(bytes)) return bytes
  throw new ProtocolError('INVALID_MESSAGE', 'expected a size such as 500MB or 20GiB')
}
