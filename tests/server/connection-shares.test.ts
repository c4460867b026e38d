import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import test from 'node:test'
import { shareConnections } from '../../server/http/connection-shares.js'

test('one source has its share of connections, and another is let in beside it', async (t) => {
  const server = createServer((socket) => socket.on('error', () => undefined))
  shareConnections(server, 2)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const from = async (localAddress: string): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    t.after(() => socket.destroy())
    const accepted = once(server, 'connection')
    await once(socket, 'connect')
    await accepted
    return socket.resume()
  }
  await from('127.0.0.1')
  await from('127.0.0.1')
  await once(
    (await from('127.0.0.1')).on('error', () => undefined),
    'close',
  )
  const other = await from('127.0.0.2')
  assert.ok(!other.destroyed)
})
