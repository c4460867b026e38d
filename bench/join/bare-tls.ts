import { createServer } from 'node:tls'
import type { Fleet } from '../fleet.js'

/** A TLS server that does nothing else: what a connection costs before anybody has said a word. */
const { server: credential } = JSON.parse(process.argv[2] ?? '') as Pick<Fleet, 'server'>

const server = createServer({ ...credential, minVersion: 'TLSv1.3' }, (socket) => {
  socket.on('error', () => undefined)
  socket.resume()
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.(typeof address === 'object' ? (address?.port ?? 0) : 0)
})
process.on('disconnect', () => process.exit())
