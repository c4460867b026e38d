import type { Server } from 'node:https'
import type { TLSSocket } from 'node:tls'

const moments = new WeakMap<TLSSocket, number>()

/** Notes of each connection when it was made: what is bound to its exporter is not older. */
export function noteConnections(server: Server): void {
  server.on('secureConnection', (socket: TLSSocket) => void moments.set(socket, Date.now()))
}

/** Milliseconds since 1970; undefined where nobody noted it. */
export function connectedAt(socket: TLSSocket): number | undefined {
  return moments.get(socket)
}
