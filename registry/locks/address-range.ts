import { BlockList, isIP } from 'node:net'
import { RegistryError } from '../errors.js'

/**
 * Asks whether an address lies in `192.0.2.0/24`, `2001:db8::/32`, or is this one. IPv4 that was mapped into IPv6 is the
 * IPv4 that it is. What is no address lies in every range: a lock that cannot be applied must not open anything.
 * @throws RegistryError LOCK_INVALID
 */
export function holdsAddress(range: string): (address: string) => boolean {
  const holds = rangeOf(range)
  if (holds === undefined)
    throw new RegistryError('LOCK_INVALID', `not an address or network: ${JSON.stringify(range)}`)
  return (address) => holds(address) ?? true
}

/** The same, which says nothing of what is no address; of what is no range there is nothing to ask. */
export function rangeOf(range: string): ((address: string) => boolean | undefined) | undefined {
  const [, network = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(range) ?? []
  const family = familyOf(network)
  const bits = family === 'ipv6' ? 128 : 32
  if (family === undefined || Number(prefix ?? bits) > bits) return undefined
  const list = new BlockList()
  list.addSubnet(network, Number(prefix ?? bits), family)
  return (address) => {
    const [host = ''] = address.split('%') // without the name of the interface
    const family = familyOf(host)
    return family && list.check(host, family)
  }
}

/** The address of `192.0.2.1:40000` and `[2001:db8::1]:40000`. */
export function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address)
  return version === 0 ? undefined : version === 6 ? 'ipv6' : 'ipv4'
}
