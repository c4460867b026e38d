import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { openTpm, type TransportOptions } from '#tpm'
import { execute } from '../../tpm/commands/command.js'
import { explainResponseCode } from '../../tpm/commands/response-codes.js'
import { openSocket } from '../../tpm/transport/socket.js'
import type { Transport } from '../../tpm/transport/transport.js'
import { hasCode } from './samples.js'

/** A TPM that answers each command with the next of these, as they are; undefined: with silence. */
async function playing(context: TestContext, answers: readonly (Uint8Array | undefined)[], options?: TransportOptions) {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
  const path = join(folder, 'tpm.sock')
  const received: Buffer[] = []
  const server = createServer((socket: Socket) => {
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
  return { transport, received, path, server }
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

test('explains response codes with what they are about', () => {
  assert.match(explainResponseCode(0x902), /OBJECT_MEMORY.*0x902/)
  assert.match(explainResponseCode(0x1df), /INTEGRITY.*0x1df, parameter 1/)
  assert.match(explainResponseCode(0x99d), /POLICY_FAIL.*session 1/)
  assert.match(explainResponseCode(0x18b), /HANDLE.*handle 1/)
  assert.match(explainResponseCode(0x1ff), /other/)
})

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
