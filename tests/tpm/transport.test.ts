import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { openTpm, type TransportOptions } from '#tpm'
import { execute } from '../../tpm/commands/command.js'
import { openDevice } from '../../tpm/transport/device.js'
import { openSocket } from '../../tpm/transport/socket.js'
import { oneAtATime, type Transport } from '../../tpm/transport/transport.js'
import { hasCode } from './samples.js'

/** A TPM that answers each command with the next of these, as they are; undefined: with silence. */
async function playing(context: TestContext, answers: readonly (Uint8Array | undefined)[], options?: TransportOptions) {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
  const path = join(folder, 'tpm.sock')
  const received: Buffer[] = []
  const connections: Socket[] = []
  const server = createServer((socket: Socket) => {
    connections.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (command) => {
      const answer = answers[received.push(command) - 1]
      if (answer) socket.write(answer)
    })
  })
  await once(server.listen(path), 'listening')
  const transport = await openSocket({ path }, options)
  context.after(async () => {
    await transport.close()
    await closed(server)
    rmSync(folder, { recursive: true })
  })
  const connection = (): Socket => {
    const [first] = connections
    assert.ok(first)
    return first
  }
  return { transport, received, path, server, connection }
}

function answer(code: number, body: readonly number[] = []): Uint8Array {
  const bytes = Buffer.alloc(10 + body.length)
  bytes.writeUInt16BE(0x8001)
  bytes.writeUInt32BE(bytes.length, 2)
  bytes.writeUInt32BE(code, 6)
  bytes.set(body, 10)
  return bytes
}

const flush = (transport: Transport): Promise<number> => execute(transport, { name: 'FlushContext' }, () => 1)

test('asks again while the TPM says not now', async (context) => {
  const { transport, received } = await playing(context, [answer(0x922), answer(0x90a), answer(0x908), answer(0)])
  assert.equal(await flush(transport), 1)
  assert.equal(received.length, 4)
})

test('stops asking a TPM that always says not now', async (context) => {
  const { transport, received } = await playing(context, Array(20).fill(answer(0x922)))
  context.mock.timers.enable({ apis: ['setTimeout'] })
  let isDone = false
  const asking = flush(transport).finally(() => (isDone = true))
  const waiting = assert.rejects(asking, hasCode('TPM_BUSY'))
  while (!isDone) {
    context.mock.timers.tick(500)
    await turn()
  }
  await waiting
  assert.equal(received.length, 12)
})

test('sends the next command only after the answer to the one before', async (context) => {
  const { transport, received } = await playing(context, [answer(0), answer(0), answer(0)])
  assert.deepEqual(await Promise.all([flush(transport), flush(transport), flush(transport)]), [1, 1, 1])
  assert.deepEqual(
    received.map((command) => command.length),
    [10, 10, 10],
  )
})

test('a TPM that does not answer in time is given up, and nothing more is sent to it', async (context) => {
  const { transport, received } = await playing(context, [undefined], { timeoutMs: 20 })
  await assert.rejects(flush(transport), hasCode('TPM_TIMEOUT'))
  await assert.rejects(flush(transport), hasCode('TPM_UNREACHABLE'))
  assert.equal(received.length, 1)
})

test('a TPM that takes 10 s is waited for, one that takes 90 s is not', async (context) => {
  const { transport, received, connection } = await playing(context, [undefined, undefined])
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const slow = flush(transport)
  while (received.length < 1) await turn()
  context.mock.timers.tick(10_000)
  connection().write(answer(0))
  assert.equal(await slow, 1)
  const silent = flush(transport)
  while (received.length < 2) await turn()
  context.mock.timers.tick(90_000)
  await assert.rejects(silent, hasCode('TPM_TIMEOUT'))
})

test('half a response is none: with nothing behind it in time, and with the end of the connection', async (context) => {
  const half = answer(0, [1, 2, 3, 4]).subarray(0, 7)
  const late = await playing(context, [half], { timeoutMs: 20 })
  await assert.rejects(flush(late.transport), hasCode('TPM_TIMEOUT'))
  const gone = await playing(context, [half])
  const pending = flush(gone.transport)
  while (gone.received.length < 1) await turn()
  gone.connection().end()
  await assert.rejects(pending, hasCode('TPM_UNREACHABLE'))
})

test('a response that comes byte by byte is one', async (context) => {
  const { transport, received, connection } = await playing(context, [undefined])
  const pending = flush(transport)
  while (received.length < 1) await turn()
  for (const byte of answer(0)) {
    connection().write(Uint8Array.of(byte))
    await turn()
  }
  assert.equal(await pending, 1)
})

test('a TPM that sends without end is left after its first bytes', async (context) => {
  const { transport, connection } = await playing(context, [Buffer.alloc(1_000_000, 0xff)])
  await assert.rejects(flush(transport), hasCode('TPM_RESPONSE_INVALID'))
  await left(connection())
})

test('what a TPM says without being asked is no answer to the next command', async (context) => {
  const { transport, connection } = await playing(context, [answer(0)])
  connection().write(answer(0))
  await left(connection())
  await assert.rejects(flush(transport), hasCode('TPM_UNREACHABLE'))
})

test('more commands than there is room for are refused, and those before are not disturbed', async (context) => {
  const { transport } = await playing(context, Array(256).fill(answer(0)))
  const sent = Array.from({ length: 257 }, () => flush(transport))
  await assert.rejects(sent[256] ?? Promise.resolve(), hasCode('TPM_BUSY'))
  assert.equal((await Promise.all(sent.slice(0, 256))).length, 256)
})

test('a device that hangs holds up neither the time-out nor the end', async () => {
  const never = new Promise<never>(() => undefined)
  const transport = oneAtATime(
    () => never,
    () => never,
    { timeoutMs: 20 },
  )
  await assert.rejects(flush(transport), hasCode('TPM_TIMEOUT'))
  await transport.close()
})

test('a device that swallows commands and answers with nothing, or with zeros, or takes none, is no TPM', async () => {
  for (const [path, code] of [
    ['/dev/null', 'TPM_RESPONSE_INVALID'],
    ['/dev/zero', 'TPM_RESPONSE_INVALID'],
    ['/dev/full', 'TPM_UNREACHABLE'],
  ] as const) {
    const transport = await openDevice(path)
    await assert.rejects(flush(transport), hasCode(code), path)
    await transport.close()
  }
})

test('a response that is too large, too small or more than one is refused', async (context) => {
  const sized = (size: number): Uint8Array => {
    const bytes = Buffer.from(answer(0))
    bytes.writeUInt32BE(size, 2)
    return bytes
  }
  for (const bytes of [sized(4097), sized(0xffffffff), sized(9), Buffer.concat([answer(0), answer(0)])]) {
    const { transport } = await playing(context, [bytes])
    await assert.rejects(flush(transport), hasCode('TPM_RESPONSE_INVALID'))
  }
})

test('a response with missing or left-over parameters, or with the wrong tag, is refused', async (context) => {
  const wrongTag = Uint8Array.from(answer(0)).with(1, 0x02)
  for (const bytes of [answer(0, [1]), wrongTag]) {
    const { transport } = await playing(context, [bytes])
    await assert.rejects(flush(transport), hasCode('TPM_RESPONSE_INVALID'))
  }
  const { transport } = await playing(context, [answer(0, [0])])
  const reading = execute(transport, { name: 'GetCapability' }, (reader) => reader.uint32())
  await assert.rejects(reading, hasCode('TPM_RESPONSE_INVALID'))
})

test('a TPM that is gone, was closed or never was is unreachable', async (context) => {
  const { transport, server, path } = await playing(context, [])
  const connections = once(server, 'connection')
  const second = await openSocket({ path })
  const [theirs] = (await connections) as [Socket]
  const pending = flush(second)
  theirs.destroy()
  await assert.rejects(pending, hasCode('TPM_UNREACHABLE'))
  await transport.close()
  await assert.rejects(flush(transport), hasCode('TPM_UNREACHABLE'))
  await assert.rejects(openTpm(`swtpm:${path}-absent`), hasCode('TPM_UNREACHABLE'))
  await assert.rejects(openTpm(`${path}-absent`), hasCode('TPM_UNREACHABLE'))
})

test('a text that names no TPM is refused', async () => {
  for (const spec of ['', 'tpm', 'swtpm:', 'tcp:localhost:1', 'swtpm:host:0', 'swtpm:host:65536']) {
    await assert.rejects(openTpm(spec), hasCode('TPM_SPEC_INVALID', 'TPM_UNREACHABLE'), spec)
  }
})

/** However it ends: reset is left too. */
function left(socket: Socket): Promise<void> {
  return new Promise((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())))
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
