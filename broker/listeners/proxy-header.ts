import { SocketAddress } from 'node:net'
import { crc32c } from '#protocol'
import { BrokerError } from '../errors.js'

/** What the header of a proxy says. */
export type ProxyHeader =
  | { readonly command: 'LOCAL' } // the proxy speaks for itself, to see whether we are well
  | { readonly command: 'PROXY'; readonly address: string; readonly port: number }

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const fixedBytes = 16

/**
 * Reads a header of the PROXY protocol, version 2 (HAProxy's proxy-protocol.txt §2.2), at the start of `bytes`.
 * Undefined while it is not all there. Each byte is judged as soon as it has come.
 * @throws BrokerError PROXY_HEADER_INVALID
 */
export function decodeProxyHeader(
  bytes: Buffer,
  maxBytes: number,
): { readonly header: ProxyHeader; readonly bytes: number } | undefined {
  const begun = Math.min(bytes.length, signature.length)
  if (bytes.compare(signature, 0, begun, 0, begun) !== 0) throw invalid('no header of version 2')
  if (bytes.length < fixedBytes) return undefined

  const total = fixedBytes + bytes.readUInt16BE(14)
  if (total > maxBytes) throw invalid(`a header of ${total} bytes; at most ${maxBytes} are allowed`)
  if (bytes.length < total) return undefined
  return { header: decodeCommand(bytes.subarray(0, total)), bytes: total }
}

function decodeCommand(header: Buffer): ProxyHeader {
  const [version, command] = nibbles(header.readUInt8(12))
  if (version !== 2) throw invalid(`version ${version}`)
  if (command === 0) return { command: 'LOCAL' } // its addresses must be ignored
  if (command !== 1) throw invalid(`command ${command}`)
  return { command: 'PROXY', ...decodeAddresses(header) }
}

/** Source address, destination address, source port, destination port, and after them records that say more. */
function decodeAddresses(header: Buffer): { readonly address: string; readonly port: number } {
  const kind = header.readUInt8(13)
  const body = header.subarray(fixedBytes)
  const family = families.get(kind)
  if (!family) throw invalid(`family and transport 0x${kind.toString(16)}`) // not TCP over IP, so not a client of ours
  const { addressBytes, format } = family
  const addressesEnd = 2 * addressBytes + 4
  if (body.length < addressesEnd) throw invalid(`${body.length} bytes of addresses instead of ${addressesEnd}`)
  checkRecords(header, fixedBytes + addressesEnd)
  return { address: format(body.subarray(0, addressBytes)), port: body.readUInt16BE(2 * addressBytes) }
}

const families: ReadonlyMap<number, { readonly addressBytes: number; readonly format: (bytes: Buffer) => string }> =
  new Map([
    [0x11, { addressBytes: 4, format: (bytes) => bytes.join('.') }],
    [0x21, { addressBytes: 16, format: formatIpv6 }],
  ])

function formatIpv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16))
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address
}

/** They must fill the header exactly (§2.2.7), or sender and receiver disagree about its end. Of all we need the checksum. */
function checkRecords(header: Buffer, from: number): void {
  for (let at = from; at < header.length;) {
    const valueAt = at + 3
    const end = valueAt + (valueAt <= header.length ? header.readUInt16BE(at + 1) : 0)
    if (end > header.length) throw invalid('a record runs beyond the header')
    if (header[at] === checksumRecord) requireChecksum(header, valueAt, end)
    at = end
  }
}

const checksumRecord = 0x03

/** CRC-32C of the whole header, as if it were zero itself (§2.2.3). */
function requireChecksum(header: Buffer, at: number, end: number): void {
  const before = crc32c(header, 0, at)
  const expected = crc32c(header, end, header.length, crc32c(zeroChecksum, 0, zeroChecksum.length, before))
  const isRight = end - at === zeroChecksum.length && header.readUInt32BE(at) === expected
  if (!isRight) throw invalid('the checksum does not match')
}

const zeroChecksum = Buffer.alloc(4)

function nibbles(byte: number): readonly [number, number] {
  return [byte >> 4, byte & 0x0f]
}

function invalid(message: string): BrokerError {
  return new BrokerError('PROXY_HEADER_INVALID', message)
}
