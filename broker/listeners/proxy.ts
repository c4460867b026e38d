import type { BrokerLimits } from '../limits.js'
import type { Arrival } from './arrival.js'
import { decodeProxyHeader, type ProxyHeader } from './proxy-header.js'

/** Takes the header off the start of a connection from a proxy, and goes on as if the client itself had connected. */
export function readProxyHeader(arrival: Arrival, { maxProxyHeaderBytes }: BrokerLimits, then: () => void): void {
  const { socket } = arrival
  let received: Buffer = Buffer.alloc(0)
  const read = (): void => {
    const chunk: unknown = socket.read()
    if (!Buffer.isBuffer(chunk)) return void socket.destroy() // it has gone; to look whether we are there, perhaps
    received = Buffer.concat([received, chunk])
    try {
      const decoded = decodeProxyHeader(received, maxProxyHeaderBytes)
      if (!decoded) return
      socket.off('readable', read)
      if (received.length > decoded.bytes) socket.unshift(received.subarray(decoded.bytes))
      believe(arrival, decoded.header)
      then()
    } catch (error) {
      arrival.refuse('proxy_header', error instanceof Error ? error.message : String(error))
    }
  }
  socket.on('readable', read)
}

function believe(arrival: Arrival, header: ProxyHeader): void {
  if (header.command === 'LOCAL') return
  const { address, port } = header
  arrival.comesFrom({ seen: 'by proxy', address, port, proxy: arrival.peer.address })
}
