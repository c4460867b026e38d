import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { DeviceView, JoinAnswer, LockAnswer } from '#protocol'
import { newKey, pem, send } from './device-https.js'
import { run, temporaryFolder, up } from './running.js'

test('a device joins with the first token, renews, is no operator, and after its revocation gets nothing', async (t) => {
  const folder = temporaryFolder(t)
  const { ready } = await up(folder)
  const ca = readFileSync(join(folder, 'data', 'operator', 'ca.crt'), 'utf8')
  const { privateKey, csr } = await newKey()
  const body = JSON.stringify({ csr })
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

test('case 92: what a device says of itself gives it no label, no role and no place under a lock', async (t) => {
  const folder = temporaryFolder(t)
  const { ready } = await up(folder)
  const ca = readFileSync(join(folder, 'data', 'operator', 'ca.crt'), 'utf8')
  const { csr } = await newKey()
  const wanted = { role: 'gateway', site: 'oslo' }
  const ask = (more: object) =>
    send(
      {
        ...{ port: ready.ports.https, ca, path: '/v1/join/token', method: 'POST' },
        headers: { authorization: `Bearer ${ready.token ?? ''}` },
      },
      JSON.stringify({ csr, ...more }),
    )
  for (const hostile of [{ labels: wanted }, { role: 'gateway' }, { reported: { ...wanted, nested: { role: 'x' } } }]) {
    assert.equal((await ask(hostile)).status, 400, JSON.stringify(hostile))
  }
  const joined = await ask({ reported: wanted })
  assert.equal(joined.status, 201, joined.body)
  const { deviceId } = JSON.parse(joined.body) as JoinAnswer

  const operator = async <Answer>(...args: readonly string[]): Promise<Answer> => {
    return JSON.parse((await run(folder, [...args, '-o', 'json'])).stdout) as Answer
  }
  assert.deepEqual((await operator<DeviceView>('devices', 'show', deviceId)).labels, {})
  const lock = ['locks', 'add', '--labels', 'role=gateway', '--reason', 'x', '--dry-run'] as const
  assert.equal((await operator<LockAnswer>(...lock)).devices, 0)
  const publish = ['policy', 'can', deviceId, 'publish', 'devices/other/cmd/x'] as const
  assert.equal((await run(folder, publish)).code, 4)
  const [enrolled = ''] = (
    await run(folder, ['audit', 'search', '--event', 'device.enroll', '-o', 'json'])
  ).stdout.split('\n')
  const record = JSON.parse(enrolled) as { readonly labels: object; readonly reported: object }
  assert.deepEqual([record.labels, record.reported], [{}, wanted])
})

test('a service that stops while devices join ends in order, and each of them is answered or cut off', async (t) => {
  const folder = temporaryFolder(t)
  const { ready, stop } = await up(folder)
  const ca = readFileSync(join(folder, 'data', 'operator', 'ca.crt'), 'utf8')
  const headers = { authorization: `Bearer ${ready.token ?? ''}` }
  const keys = await Promise.all(Array.from({ length: 20 }, newKey))
  const joins = keys.map(({ csr }) =>
    send(
      { port: ready.ports.https, ca, path: '/v1/join/token', method: 'POST', headers },
      JSON.stringify({ csr }),
    ).then(
      ({ status }) => status,
      () => 'cut off',
    ),
  )
  await Promise.race(joins)
  assert.equal(await stop(), 0)
  const told = await Promise.all(joins)
  for (const one of told) assert.ok([201, 409, 503, 'cut off'].includes(one), String(one))
  assert.ok(told.filter((one) => one === 201).length <= 1, 'the token lets one in')
})
