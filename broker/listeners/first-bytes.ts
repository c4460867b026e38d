import type { Socket } from 'node:net'

/**
 * Reads the start of a connection, before anyone else does. `take` sees all that has come and tells how many bytes of it
 * are its own, or undefined while it needs more; the others are put back for whoever reads after `then`.
 */
export function readFirstBytes(socket: Socket, take: (received: Buffer) => number | undefined, then: () => void): void {
  let received: Buffer = Buffer.alloc(0)
  const read = (): void => {
    const chunk: unknown = socket.read()
    if (!Buffer.isBuffer(chunk)) return void socket.destroy() // it has gone, half said or without a word
    received = Buffer.concat([received, chunk])
    const taken = take(received)
    if (taken === undefined) return
    socket.off('readable', read)
    if (received.length > taken) socket.unshift(received.subarray(taken))
    then()
  }
  socket.on('readable', read)
  if (socket.readableLength > 0) read()
}
