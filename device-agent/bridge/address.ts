import { BlockList, isIP } from 'node:net'
import { AgentError } from '../errors.js'

/** Where programs on the device find the bridge. */
export type BridgeAddress =
  | { readonly kind: 'loopback'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/**
 * `127.0.0.1:1883`, `[::1]:1883` or `unix:/run/touchmark/mqtt.sock`. Nobody is asked for a credential there, so no
 * address that another machine could reach is taken. @throws AgentError USAGE
 */
export function parseBridgeAddress(text: string): BridgeAddress {
  if (text.startsWith('unix:')) return { kind: 'unix', path: socketPath(text.slice('unix:'.length)) }
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? v4
  const port = Number(digits)
  if (host === undefined || port > 65_535) throw refused(text, 'HOST:PORT or unix:PATH')
  if (!isLoopback(host)) throw refused(text, 'an address of this machine alone, such as 127.0.0.1:1883 or [::1]:1883')
  return { kind: 'loopback', host, port }
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** By its number only: what a name stands for can change. */
function isLoopback(host: string): boolean {
  const version = isIP(host)
  return version !== 0 && loopback.check(host, version === 4 ? 'ipv4' : 'ipv6')
}

/** The bytes that sockaddr_un has room for, and what the path is longer while the socket is being made. */
const maxSocketPathBytes = 107 - '/.1234567.new/s'.length

function socketPath(path: string): string {
  if (!path.startsWith('/') || path.endsWith('/')) throw refused(`unix:${path}`, 'unix: and an absolute path')
  if (Buffer.byteLength(path) > maxSocketPathBytes) {
    throw refused(`unix:${path}`, `a path of at most ${maxSocketPathBytes} bytes`)
  }
  return path
}

function refused(text: string, expected: string): AgentError {
  return new AgentError('USAGE', `--bridge: expected ${expected}, got ${JSON.stringify(text)}`)
}
