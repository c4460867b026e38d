import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import test from 'node:test'
import { encodeBase64url, type JoinAnswer } from '#protocol'
import { createCsr, createKeyPair, spkiOf } from '#x509'
import { run, temporaryFolder, up } from './running.js'

test('a device joins with the first token, renews, is no operator, and after its revocation gets nothing', async (t) => {
  const folder = temporaryFolder(t)
  const { ready } = await up(folder)
  const ca = readFileSync(join(folder, 'data', 'operator', 'ca.crt'), 'utf8')
  const { privateKey, publicKey } = createKeyPair('P-256')
  const csr = await createCsr({
    spki: spkiOf(publicKey),
    sign: async (data: Uint8Array) => new Uint8Array(sign('sha256', data, privateKey)),
  })
  const body = JSON.stringify({ csr: encodeBase64url(csr) })
  const post = (path: string, headers: Record<string, string>, cert?: string) =>
    send(
      { port: ready.ports.https, ca, path, method: 'POST', headers, ...(cert && { cert, key: pem(privateKey) }) },
      body,
    )

  assert.equal((await post('/v1/join/token', { authorization: `Bearer tm1.none.${'A'.repeat(43)}` })).status, 403)
  const joined = await post('/v1/join/token', { authorization: `Bearer ${ready.token ?? ''}` })
  assert.equal(joined.status, 201, joined.body)
  const answer = JSON.parse(joined.body) as JoinAnswer
  const cert = [answer.certificate, ...answer.chain].join('')
  assert.equal(answer.broker.mqtts, `mqtts://localhost:${ready.ports.mqtt}`)

  const asOperator = await send({
    port: ready.ports.https,
    ca,
    path: '/v1/devices',
    method: 'GET',
    cert,
    key: pem(privateKey),
  })
  assert.equal(asOperator.status, 403)
  assert.equal((await post('/v1/renew', {}, cert)).status, 201)

  const revoke = ['devices', 'revoke', answer.deviceId, '--reason', 'keyCompromise'] as const
  assert.equal((await run(folder, revoke)).code, 0)
  assert.equal((await post('/v1/renew', {}, cert)).status, 409)
  const shown = await run(folder, ['devices', 'show', answer.deviceId, '-o', 'json'])
  assert.equal((JSON.parse(shown.stdout) as { state: string }).state, 'revoked')
  const events = (await run(folder, ['audit', 'tail', '-o', 'json'])).stdout
  for (const event of ['join.refuse', 'device.enroll', 'operator.refuse', 'device.renew', 'device.revoke']) {
    assert.ok(events.includes(`"event":"${event}"`), event)
  }
})

interface Sending {
  readonly port: number
  readonly ca: string
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly cert?: string
  readonly key?: string
}

function send(options: Sending, body?: string): Promise<{ readonly status: number; readonly body: string }> {
  const headers = { ...options.headers, ...(body !== undefined && { 'content-type': 'application/json' }) }
  return new Promise((resolve, reject) => {
    const sending = request({ ...options, host: 'localhost', agent: false, headers })
    sending.on('error', reject)
    sending.on('response', (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
    })
    sending.end(body)
  })
}

function pem(key: ReturnType<typeof createKeyPair>['privateKey']): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString()
}
