/**
 * Who is behind a peer's address, as far as limits and counts go: the address without its port, which is new with every
 * connection; of an IPv6 address the /64, which is what one subscriber has all of.
 * `peer`: an address, with or without its port (`[address]:port` of IPv6).
 */
export function sourceOf(peer: string): string {
  const address = addressIn(peer)
  if (!address.includes(':')) return address
  const [, mapped] = /^::ffff:([\d.]+)$/i.exec(address) ?? []
  return mapped ?? networkOf(address)
}

/** The address of a peer, whether it is written with its port or without. */
export function addressIn(peer: string): string {
  const [, bracketed] = /^\[(.+)\](?::\d+)?$/.exec(peer) ?? []
  return bracketed ?? peer.replace(/^([^:]+):\d+$/, '$1')
}

function networkOf(address: string): string {
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  return [...left, ...zeros, ...right].slice(0, 4).join(':')
}
