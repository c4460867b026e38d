import { isIP, SocketAddress } from 'node:net'

/** A range of addresses, such as `10.0.0.0/8` or `2001:db8::/32`. IPv4 and IPv6 never meet; `::ffff:10.0.0.0/104` is IPv4. */
export interface Network {
  readonly family: 4 | 6
  readonly bits: bigint
  /** Of the bits, those that the network leaves open. */
  readonly open: bigint
}

interface Address {
  readonly family: 4 | 6
  readonly bits: bigint
}

const mappedPrefix = 0xffffn // of an IPv4 address in IPv6, above its 32 bits (RFC 4291 §2.5.5.2)

/** Without a length it is one address. @throws TypeError */
export function parseNetwork(text: string): Network {
  const [, address = '', length] = /^([\dA-Fa-f:.]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? []
  const written = readAddress(address)
  const width = address.includes(':') ? 128 : 32
  const open = width - Number(length ?? width)
  if (written === undefined || open < 0) {
    throw new TypeError(`expected a network such as 10.0.0.0/8 or 2001:db8::/32, got ${JSON.stringify(text)}`)
  }
  const { family, bits } = unmapped(written, open)
  // Somebody meant the network, or the machine; to guess which would open the one or shut out the other.
  if ((bits & mask(open)) !== 0n) throw new TypeError(`${text} is an address inside of a network: write the first one`)
  return { family, bits, open: BigInt(open) }
}

/** In its shortest form; one address without a length. */
export function formatNetwork({ family, bits, open }: Network): string {
  const [groups, width, separator] = family === 4 ? ([4, 8n, '.'] as const) : ([8, 16n, ':'] as const)
  const parts = Array.from(
    { length: groups },
    (_, at) => (bits >> (BigInt(groups - 1 - at) * width)) & mask(Number(width)),
  )
  const written = parts.map((part) => part.toString(family === 4 ? 10 : 16)).join(separator)
  const { address } = new SocketAddress({ address: written, family: `ipv${family}` })
  return open === 0n ? address : `${address}/${groups * Number(width) - Number(open)}`
}

/** An IPv4 or IPv6 address as it is written. @throws TypeError */
export function parseAddress(text: string): string {
  if (readAddress(text) === undefined) throw new TypeError(`expected an IP address, got ${JSON.stringify(text)}`)
  return text
}

/** Undefined where that cannot be told, because the text is no address. */
export function isInside(networks: readonly Network[], text: string): boolean | undefined {
  const written = readAddress(text)
  if (written === undefined) return undefined
  const address = unmapped(written, 0)
  return networks.some(({ family, bits, open }) => family === address.family && bits >> open === address.bits >> open)
}

function readAddress(text: string): Address | undefined {
  const [address = ''] = text.split('%') // what follows is the interface of a link-local address
  switch (isIP(address)) {
    case 4:
      return { family: 4, bits: bitsOf(address.split('.'), 8n, 10) }
    case 6:
      return { family: 6, bits: bitsOf(groupsOf(address), 16n, 16) }
    default:
      return undefined
  }
}

/** An IPv4 address in IPv6 is the IPv4 address: a socket for both kinds shows it so. */
function unmapped(address: Address, open: number): Address {
  const isMapped = address.family === 6 && open <= 32 && address.bits >> 32n === mappedPrefix
  return isMapped ? { family: 4, bits: address.bits & mask(32) } : address
}

/** All eight groups of an IPv6 address, the left out ones as `0` (RFC 4291 §2.2). */
function groupsOf(text: string): readonly string[] {
  const [head = [], tail = []] = text.split('::').map((part) => part.split(':').filter(Boolean).flatMap(asHex))
  const leftOut = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  return [...head, ...leftOut, ...tail]
}

/** `1.2.3.4` at the end of an IPv6 address stands for its last two groups. */
function asHex(group: string): readonly string[] {
  if (!group.includes('.')) return [group]
  const bits = bitsOf(group.split('.'), 8n, 10)
  return [(bits >> 16n).toString(16), (bits & mask(16)).toString(16)]
}

function bitsOf(parts: readonly string[], width: bigint, radix: number): bigint {
  return parts.reduce((bits, part) => (bits << width) | BigInt(Number.parseInt(part, radix)), 0n)
}

function mask(width: number): bigint {
  return (1n << BigInt(width)) - 1n
}
