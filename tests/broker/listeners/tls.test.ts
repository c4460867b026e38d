import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { connect as tlsConnect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { needs } from '../../needs.js'
import { authority, connectPacket, device, makeWorld, RawClient, until, type World } from '../harness.js'
import { listenToo } from './world.js'

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  for (const [what, change, reason] of [
    ['revoked', (world: World) => world.refused.set(device('d1'), 'revoked'), 'revoked'],
    ['expired', (world: World) => (world.clock += 2 * 86_400_000), 'expired'],
  ] as const) {
    test(`a session of ${version} that is resumed opens nothing to a device that is ${what}`, async (t) => {
      const world = await makeWorld(t)
      const { ticket } = await firstVisit(t, world, { maxVersion: version })
      change(world)
      const again = await open(t, world, { maxVersion: version, session: ticket })
      assert.ok(again.isSessionReused())
      assert.equal((await new RawClient(again).connect('d1')).returnCode, 5)
      await until(() => world.records('session.refuse')[0]?.reason === reason)
    })
  }

  test(`no session of ${version} is resumed once the CAs have changed`, async (t) => {
    const world = await makeWorld(t)
    const { ticket } = await firstVisit(t, world, { maxVersion: version })
    const { ca, server } = await authority
    world.broker.renewTls({ ...server, ca: [ca] })
    const again = await open(t, world, { maxVersion: version, session: ticket })
    assert.equal(again.isSessionReused(), false)
    assert.equal((await new RawClient(again).connect('d1')).returnCode, 0)
  })

  test(`whoever has no certificate cannot resume a session of ${version} into one either`, async (t) => {
    const world = await makeWorld(t)
    const tickets: Buffer[] = []
    for (let nth = 0; nth < 2; nth++) {
      const [session] = tickets
      const socket = tlsConnect({
        ...{ host: '127.0.0.1', port: world.port, ca: world.ca, maxVersion: version },
        ...(session && { session }),
      })
      t.after(() => socket.destroy())
      socket.on('session', (ticket: Buffer) => tickets.push(ticket))
      socket.on('error', () => undefined)
      socket.once('secureConnect', () => tickets.push(socket.getSession() ?? Buffer.alloc(0)))
      await new Promise<void>((resolve) => socket.once('close', () => resolve()))
    }
    assert.equal(world.records('session.connect').length, 0)
  })
}

test('a session that another listener began is not resumed here', async (t) => {
  const world = await makeWorld(t)
  const { ticket } = await firstVisit(t, world, {})
  const other = await open(t, world, { port: await listenToo(world, {}), session: ticket })
  assert.equal(other.isSessionReused(), false)
})

test('openssl: TLS 1.2 and 1.3 with AEAD and ephemeral keys, and nothing else', needs('openssl'), async (t) => {
  const world = await makeWorld(t)
  const files = await filesFor(t, world, 'd1')
  const offers = (...args: readonly string[]) => handshake(world.port, files, args)
  assert.ok(await offers('-tls1_3'))
  for (const cipher of ['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305']) {
    assert.ok(await offers('-tls1_2', '-cipher', cipher), cipher)
  }
  for (const cipher of [
    'ECDHE-ECDSA-AES256-SHA384',
    'ECDHE-ECDSA-AES128-SHA',
    'DHE-RSA-AES256-GCM-SHA384',
    'AES128-GCM-SHA256',
  ]) {
    assert.equal(await offers('-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`), false, cipher)
  }
  assert.equal(await offers('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'), false)
  assert.equal(await offers('-tls1', '-cipher', 'ALL:@SECLEVEL=0'), false)
})

test('openssl: a client that asks to renegotiate is told no', needs('openssl'), async (t) => {
  const world = await makeWorld(t)
  const { ca, cert, key } = await filesFor(t, world, 'd1')
  const where = ['-connect', `127.0.0.1:${world.port}`, '-tls1_2', '-CAfile', ca, '-cert', cert, '-key', key]
  const client = spawn('openssl', ['s_client', ...where], { stdio: 'pipe' })
  t.after(() => client.kill('SIGKILL'))
  let output = ''
  for (const stream of [client.stdout, client.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)))
  client.stdin.on('error', () => undefined)
  await until(() => /Verify return code/.test(output))
  const closed = once(client, 'close')
  client.stdin.write('R\n') // of s_client: renegotiate
  await until(() => /RENEGOTIATING/.test(output))
  client.stdin.end()
  await closed
  assert.match(output, /no renegotiation/)
})

for (const version of ['tlsv1.2', 'tlsv1.3']) {
  test(`mosquitto_pub speaks over ${version}`, needs('mosquitto_pub'), async (t) => {
    const world = await makeWorld(t)
    const { ca, cert, key } = await filesFor(t, world, 'd1')
    const where = ['-h', 'localhost', '-p', String(world.port), '--cafile', ca, '--cert', cert, '--key', key]
    const message = ['-i', 'd1', '-q', '1', '-t', 'f/d1/x', '-m', version]
    const code = await exitCode('mosquitto_pub', [...where, '--tls-version', version, ...message])
    assert.equal(code, 0)
    assert.equal(world.records('message.publish')[0]?.topic, 'f/d1/x')
  })
}

test('a packet announced above the limit is refused before CONNECT and before its body', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d1')
  client.write(Uint8Array.of(0x10, 0xff, 0xff, 0xff, 0x7f))
  await client.closed
  assert.equal(world.records('session.refuse')[0]?.reason, 'packet_too_large')
})

/** Connects as d1 once and keeps the ticket. */
async function firstVisit(
  t: TestContext,
  world: World,
  options: Partial<ConnectionOptions>,
): Promise<{ ticket: Buffer }> {
  const socket = await open(t, world, options)
  const tickets: Buffer[] = []
  socket.on('session', (session: Buffer) => tickets.push(session))
  const client = new RawClient(socket)
  client.send(connectPacket('d1'))
  await client.next('connack')
  const ticket = tickets.at(-1) ?? socket.getSession()
  assert.ok(ticket)
  socket.destroy()
  await until(() => world.records('session.end').length === 1)
  return { ticket }
}

async function open(t: TestContext, world: World, options: Partial<ConnectionOptions>): Promise<TLSSocket> {
  const credentials = await world.credentials('d1')
  const socket = tlsConnect({ host: '127.0.0.1', port: world.port, ca: world.ca, ...credentials, ...options })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  return socket
}

interface Files {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

async function filesFor(t: TestContext, world: World, id: string): Promise<Files> {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const { cert, key } = await world.credentials(id)
  const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  writeFileSync(files.ca, world.ca)
  writeFileSync(files.cert, cert)
  writeFileSync(files.key, key)
  return files
}

/** Whether `openssl s_client` gets through a handshake. */
async function handshake(port: number, { ca, cert, key }: Files, args: readonly string[]): Promise<boolean> {
  const where = ['-connect', `127.0.0.1:${port}`, '-CAfile', ca, '-cert', cert, '-key', key, '-verify_return_error']
  return (await exitCode('openssl', ['s_client', ...where, ...args])) === 0
}

function exitCode(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = execFile(program, args, (error) => resolve(error ? 1 : 0))
    child.stdin?.on('error', () => undefined)
    child.stdin?.end()
  })
}
