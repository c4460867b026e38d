import type { Server, Socket } from 'node:net'
import { sourceOf } from '#protocol'

/**
 * Bounds the connections that one source holds at a time: what is over it is closed before its handshake. So one that
 * opens connections and says nothing cannot take all that the listener has.
 */
export function shareConnections(server: Server, mostPerSource: number): void {
  const held = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    if (socket.remoteAddress === undefined) return // gone already
    const source = sourceOf(socket.remoteAddress)
    const count = (held.get(source) ?? 0) + 1
    if (count > mostPerSource) return void socket.destroy()
    held.set(source, count)
    socket.once('close', () => {
      const left = (held.get(source) ?? 1) - 1
      if (left > 0) held.set(source, left)
      else held.delete(source)
    })
  })
}
