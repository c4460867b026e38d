import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as tcpConnect } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import test, { type TestContext } from 'node:test'
import { routes } from '#protocol'
import type { AuditReader } from '../../server/http/audit-search.js'
import { createWorld } from './world.js'

test('no stranger keeps a service from stopping, however much of a request has come', async (t) => {
  const { port, ca, app, requests, call, operator } = await createWorld(t)
  const ada = await operator()
  const mute = tcpConnect(port, '127.0.0.1').resume()
  const failed = once(app.server, 'tlsClientError')
  await once(app.server, 'connection')
  const { method, path } = routes.joinToken
  const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n`
  const whole = `GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const sockets = await Promise.all(
    ['', 'POST', head, `${head}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{`, whole].map((said) =>
      opened(t, { port, ca }, said),
    ),
  )
  await once(sockets.at(-1) ?? assert.fail(), 'data') // it keeps its connection for the next one
  const closed = [mute, ...sockets].map((socket) => once(socket.resume(), 'close'))
  assert.equal((await call('listDevices', ada)).status, 200)

  await requests.settled()
  await requests.ended()
  await Promise.all(closed)
  const [fault] = await failed
  assert.equal(fault.code, 'ECONNRESET', 'not for having been waited for')
  await assert.rejects(call('listDevices', ada), { code: 'ECONNREFUSED' })
})

test('what was asked for is done and answered before the service stops', async (t) => {
  const { audit, requests, call, operator } = await createWorld(t)
  const ada = await operator()
  audit.hold()
  const before = audit.records.length
  const creating = call('createToken', ada, { body: { uses: 1, ttlSeconds: 60 } })
  while (audit.records.length === before) await new Promise(setImmediate)
  let isSettled = false
  const settled = requests.settled().then(() => (isSettled = true))
  for (let turns = 0; turns < 1000; turns++) await new Promise(setImmediate)
  assert.equal(isSettled, false)
  audit.release()
  assert.equal((await creating).status, 201)
  await settled
  await requests.ended()
})

test('a connection that goes, or that the stopping service closes, takes along what waits behind another request', async (t) => {
  for (const ending of ['goes', 'stays'] as const) {
    const running = new Set<AbortSignal>()
    async function* searchAudit(_search: unknown, { leaving }: AuditReader): AsyncGenerator<string, void> {
      running.add(leaving)
      yield '{}\n'
      if (!leaving.aborted) await once(leaving, 'abort')
      running.delete(leaving)
    }
    const world = await createWorld(t, { searchAudit })
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const following = `${routes.searchAudit.path}?follow=true`
    const said = get(following) + get(routes.listDevices.path) + get(following).repeat(20) + get('/unknown')
    const { port, ca } = world
    const { cert, key } = await world.operator()
    const socket = await opened(t, { port, ca, cert, key }, said)
    while (running.size < 21) await new Promise(setImmediate)
    if (ending === 'goes') socket.destroy()
    while (ending === 'goes' && running.size > 0) await new Promise(setImmediate)
    await world.requests.settled()
    await world.requests.ended()
    assert.equal(running.size, 0)
  }
})

/** A connection on which something was said. */
async function opened(t: TestContext, to: ConnectionOptions, said: string): Promise<TLSSocket> {
  const socket = connect({ ...to, host: '127.0.0.1', servername: 'localhost' })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  socket.write(said)
  return socket
}
