import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { App } from './app.js'

/**
 * An answer that waits behind another on its connection (RFC 9112 §9.3.2) is not told by Node when that goes. Here it is
 * closed like any other, so that whatever works for it ends.
 */
export function closeQueuedAnswers(app: App): void {
  const queues = new WeakMap<Socket, Set<ServerResponse>>()
  app.addHook('onRequest', async ({ raw: { socket } }, { raw: response }) => {
    if (response.socket !== null) return
    const queue = queues.get(socket) ?? new Set()
    if (!queues.has(socket)) socket.once('close', () => queue.forEach(close))
    queues.set(socket, queue.add(response))
    response.once('socket', () => queue.delete(response)) // its turn has come
  })
}

function close(response: ServerResponse): void {
  response.destroy().emit('close')
}
