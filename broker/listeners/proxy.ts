import { messageOf } from '#protocol'
import type { BrokerLimits } from '../limits.js'
import type { Arrival } from './arrival.js'
import { readFirstBytes } from './first-bytes.js'
import { decodeProxyHeader, type ProxyHeader } from './proxy-header.js'

/** Takes the header off the start of a connection from a proxy, and goes on as if the client itself had connected. */
export function readProxyHeader(arrival: Arrival, { maxProxyHeaderBytes }: BrokerLimits, then: () => void): void {
  const take = (received: Buffer): number | undefined => {
    try {
      const decoded = decodeProxyHeader(received, maxProxyHeaderBytes)
      if (decoded) believe(arrival, decoded.header)
      return decoded?.bytes
    } catch (error) {
      arrival.refuse('proxy_header', messageOf(error))
      return undefined
    }
  }
  readFirstBytes(arrival.socket, take, then)
}

function believe(arrival: Arrival, header: ProxyHeader): void {
  if (header.command === 'LOCAL') return
  const { address, port } = header
  arrival.comesFrom({ seen: 'by proxy', address, port, proxy: arrival.peer.address })
}
