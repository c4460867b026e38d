import { isIP } from 'node:net'
import { ProtocolError } from '#protocol'

/** An address, or a network such as `192.0.2.0/24`. */
export function parseNetwork(text: string): string {
  const [, address = '', prefix = '0'] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  if (Number(prefix) <= bits) return text
  throw new ProtocolError('INVALID_MESSAGE', 'expected an address, or a network such as 192.0.2.0/24')
}

/** A web page's origin exactly as a browser sends it: `https://host`, with a port where it is not the usual one. */
export function parseWebOrigin(text: string): string {
  if (/^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text) return text
  throw new ProtocolError('INVALID_MESSAGE', 'expected an origin such as https://console.example')
}
