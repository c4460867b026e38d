import { BlockList, isIP, isIPv6 } from 'node:net'
import { BrokerError } from '../errors.js'

/**
 * Asks whether an address is in one of these networks: `192.0.2.0/24`, `2001:db8::/32`, or one address.
 * @throws BrokerError LISTEN_FAILED where one of them is something else
 */
export function inNetworks(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const [, address = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(network) ?? []
    const family = isIP(address)
    const bits = family === 6 ? 128 : 32
    if (family === 0 || Number(prefix ?? bits) > bits) {
      throw new BrokerError('LISTEN_FAILED', `not an address or network: ${JSON.stringify(network)}`)
    }
    list.addSubnet(address, Number(prefix ?? bits), family === 6 ? 'ipv6' : 'ipv4')
  }
  if (networks.length === 0) return () => false // a list takes ten microseconds to say so
  return (address) => isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}
