import assert from 'node:assert/strict'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { connect, type TLSSocket } from 'node:tls'
import test from 'node:test'
import type { Problem } from '#protocol'
import { type Answer, type Client, createWorld } from './world.js'

/* What attackers send to the operators' API beside certificates: docs/attack-cases.md, 103 and 104. */

type World = Awaited<ReturnType<typeof createWorld>>

test('case 103: a request that hides another one behind an ambiguous length is refused, and the connection ends', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  await world.device('d1')
  const hidden =
    'POST /v1/devices/d1/revoke HTTP/1.1\r\nhost: localhost\r\ncontent-length: 23\r\n\r\n{"reason":"superseded"}'
  const heads = [
    'content-length: 4\r\ntransfer-encoding: chunked',
    'transfer-encoding: chunked\r\ncontent-length: 4',
    'content-length: 4\r\ncontent-length: 0',
    'transfer-encoding: chunked, identity',
    'transfer-encoding: xchunked',
    'content-length : 0',
    'content-length: +0',
    ' folded: 1\r\ncontent-length: 0',
  ]
  for (const head of heads) {
    const socket = await open(world, operator)
    const heard = text(socket)
    socket.write(`POST /v1/join/nonce HTTP/1.1\r\nhost: localhost\r\n${head}\r\n\r\n0\r\n\r\n${hidden}`)
    const answers = (await heard).match(/HTTP\/1\.1 \d{3}/g)
    assert.deepEqual(answers, ['HTTP/1.1 400'], head)
  }
  assert.equal(world.registry.device(await world.device('d2'))?.state, 'registered')
  assert.ok(!world.audit.records.some(({ event }) => event === 'device.revoke'))
})

test('case 103: what follows on a stranger’s connection is a stranger’s request', async (t) => {
  const world = await createWorld(t)
  const socket = await open(world)
  const heard = text(socket)
  socket.write('POST /v1/join/nonce HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n')
  socket.write('GET /v1/devices HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  assert.deepEqual((await heard).match(/HTTP\/1\.1 \d{3}/g), ['HTTP/1.1 200', 'HTTP/1.1 401'])
})

test('case 104: a page of another origin gets nothing, with a certificate in the browser and without', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  const origins = ['https://evil.example', 'null', `https://127.0.0.1:${world.port}.evil.example`, 'https://127.0.0.1']
  for (const origin of origins) {
    const asked = { headers: { origin, 'sec-fetch-site': 'cross-site' }, body: {} }
    for (const client of [operator, undefined]) {
      const answer = await world.call('createToken', client, asked)
      assert.deepEqual([answer.status, codeOf(answer)], [403, 'ORIGIN_FOREIGN'], origin)
      assert.ok(!Object.keys(answer.headers).some((name) => name.startsWith('access-control-')))
    }
    const preflight = {
      method: 'OPTIONS',
      path: '/v1/tokens',
      headers: { origin, 'access-control-request-method': 'POST' },
    }
    const allowed = await world.send(preflight, operator)
    assert.deepEqual([allowed.status, allowed.headers['access-control-allow-origin']], [404, undefined])
  }
  assert.deepEqual(world.registry.tokens(), [])
  const own = { headers: { origin: `https://127.0.0.1:${world.port}` }, body: {} }
  assert.equal((await world.call('createToken', operator, own)).status, 201)
})

test('case 104: no cookie is set and none counts, and a body that a form can send is no act', async (t) => {
  const world = await createWorld(t)
  const [operator, cookie] = [await world.operator(), { cookie: 'session=1; operator=ada' }]
  const stranger = await world.call('listDevices', undefined, { headers: cookie })
  assert.deepEqual([stranger.status, stranger.headers['set-cookie']], [401, undefined])
  assert.equal((await world.call('listDevices', operator)).headers['set-cookie'], undefined)
  for (const type of ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/html']) {
    assert.equal((await world.call('createToken', operator, { type, body: '{}' })).status, 400, type)
  }
})

test('case 104: DNS rebinding: a request to a name that is not ours is refused, whoever sends it', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  const foreign = [
    'evil.example',
    `evil.example:${world.port}`,
    'localhost.evil.example',
    'localhost@evil.example',
    '[::2]',
    'localhost/x',
    'x y',
  ]
  for (const host of foreign) {
    const answer = await world.call('listDevices', operator, { headers: { host } })
    assert.deepEqual([answer.status, codeOf(answer)], [421, 'HOST_FOREIGN'], host)
  }
  for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1'])
    assert.equal((await world.call('listDevices', operator, { headers: { host } })).status, 200, host)
  const reasons = world.refusalsOnRecord().map(({ reason }) => reason)
  assert.deepEqual(reasons, ['host_foreign'])
})

async function open({ port, ca }: World, client?: Client): Promise<TLSSocket> {
  const identity = client && { cert: client.cert, key: client.key }
  const socket = connect({ host: '127.0.0.1', servername: 'localhost', port, ca, ...identity })
  await once(socket, 'secureConnect')
  return socket
}

function codeOf(answer: Answer): string {
  return (answer.json() as Problem).code
}
