import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test, { type TestContext } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { AuditLog, verifyLog } from '#audit'
import type { AuditRecord } from '#protocol'
import { authority, policySource, publishPacket, RawClient, subscribePacket, trustDomain } from './harness.js'
import type { Given } from './serving-child.js'

test(
  'killed under load and then ended in good order, the service keeps all that it has acknowledged',
  { timeout: 60_000 },
  async (t) => {
    const service = await makeService(t)
    await service.start()
    const listener = await service.raw('d2')
    await listener.connect('d2', { clean: false })
    listener.send(subscribePacket(1, ['open/#', 1]), { cmd: 'disconnect' })
    await listener.closed

    const payload = (id: number) => `${id} `.padEnd(4096)
    const publish = (id: number, dup = false) =>
      publishPacket('open/x', payload(id), { qos: 1, messageId: id, dup, retain: id === 1 })
    const ids = Array.from({ length: 600 }, (_, at) => at + 1)
    const speaker = await service.raw('d1')
    await speaker.connect('d1')
    speaker.send(...ids.slice(0, 300).map((id) => publish(id)))
    await speaker.next('puback', 300)
    speaker.send(...ids.slice(300).map((id) => publish(id)))
    await speaker.next('puback', 301)
    await service.end('SIGKILL')
    await speaker.closed
    const acknowledged = new Set(speaker.all('puback').map(({ messageId }) => messageId))
    const again = ids.filter((id) => !acknowledged.has(id))

    await service.start()
    const speakerBack = await service.raw('d1')
    await speakerBack.connect('d1')
    speakerBack.send(...again.map((id) => publish(id, true)))
    await speakerBack.next('puback', again.length)
    const listenerBack = await service.raw('d2')
    assert.ok((await listenerBack.connect('d2', { clean: false })).sessionPresent)
    const missing = new Set(ids)
    let last = 0
    for (let nth = 1; missing.size > 0; nth++) {
      const message = await listenerBack.next('publish', nth)
      missing.delete(Number(message.payload.toString()))
      last = message.messageId ?? 0
      if (missing.size > 0) listenerBack.send({ cmd: 'puback', messageId: last })
    }
    await listenerBack.ping() // so that all but the last are acknowledged

    assert.equal(await service.end('SIGTERM'), 0)
    await service.start()
    const listenerAgain = await service.raw('d2')
    assert.ok((await listenerAgain.connect('d2', { clean: false })).sessionPresent)
    const redelivered = await listenerAgain.next('publish')
    assert.deepEqual([redelivered.messageId, redelivered.dup], [last, true])
    const newcomer = await service.raw('d3')
    await newcomer.connect('d3')
    newcomer.send(subscribePacket(1, ['open/x', 0]))
    const retained = await newcomer.next('publish')
    assert.deepEqual([retained.retain, retained.payload.toString()], [true, payload(1)])
    assert.equal(await service.end('SIGTERM'), 0)

    const published = (await service.records()).filter((record) => record.event === 'message.publish')
    const recorded = new Set(published.map(({ messageId }) => messageId))
    assert.deepEqual(
      ids.filter((id) => !recorded.has(id)),
      [],
    )
    assert.deepEqual(
      published.filter(({ dup }) => dup).map(({ messageId }) => messageId),
      again,
    )
  },
)

/** A broker in a process of its own, with a folder that outlives it. */
async function makeService(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-broker-'))
  const { privateKey: signingKey } = generateKeyPairSync('ed25519')
  const { ca, server, issue } = await authority
  const pem = signingKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const given: Given = { tls: { ...server, ca }, trustDomain, policy: policySource(), signingKey: pem }
  writeFileSync(join(folder, 'given.json'), JSON.stringify(given))
  let running: { readonly child: ChildProcess; readonly port: number } | undefined

  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (!running) return null
    const { child } = running
    running = undefined
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
    return child.exitCode
  }
  t.after(async () => {
    await end('SIGKILL')
    rmSync(folder, { recursive: true })
  })

  return {
    end,
    async start(): Promise<void> {
      const program = new URL('./serving-child.js', import.meta.url).pathname
      const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
      const [port] = (await Promise.race([
        once(createInterface(child.stdout), 'line'),
        once(child, 'exit'),
      ])) as unknown[]
      running = { child, port: Number(port) }
    },
    async raw(id: string): Promise<RawClient> {
      const socket = tlsConnect({ host: '127.0.0.1', port: running?.port ?? 0, ca, ...(await issue(id)) })
      t.after(() => socket.destroy())
      socket.on('error', () => undefined)
      await once(socket, 'secureConnect')
      return new RawClient(socket)
    },
    records: () => recordsOf(join(folder, 'audit'), signingKey),
  }
}

/** All of the log, which must be whole. */
async function recordsOf(directory: string, signingKey: KeyObject): Promise<readonly AuditRecord[]> {
  const log = await AuditLog.open({ directory, origin: 'test/audit', signingKey, now: Date.now })
  const records: AuditRecord[] = []
  for await (const record of log.records(0)) records.push(record)
  await log.close()
  const { ok, size } = await verifyLog(directory, log.verifierKey)
  assert.deepEqual({ ok, size }, { ok: true, size: log.size })
  return records
}
