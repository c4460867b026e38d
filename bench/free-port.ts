import { once } from 'node:events'
import { createServer } from 'node:net'

/** For programs that cannot say which port they were given: one is looked for beforehand. Somebody else can take it meanwhile. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || address === null) throw new TypeError('a TCP listener has a port')
  return address.port
}
