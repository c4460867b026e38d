import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { DeviceView, JoinAnswer, LockAnswer } from '#protocol'
import { newKey, pem, send } from '../device-https.js'
import { run, temporaryFolder, up } from '../running.js'

const gateway = { role: 'gateway', model: 'RX 7', os: 'Debian GNU/Linux 12', 'service.opcua': '4840/tcp' }

test('what a device says of itself is kept from the join on, and what is new of it from each renewal', async (t) => {
  const { device, operator, touchmark, restart } = await openWorld(t, gateway)
  assert.deepEqual((await device()).reported, gateway)
  const newer = { ...gateway, os: 'Debian GNU/Linux 13' }
  assert.equal((await renew(device, { reported: gateway })).status, 201)
  assert.equal((await renew(device, { reported: newer })).status, 201)
  assert.equal((await renew(device, {})).status, 201)
  assert.deepEqual((await device()).reported, newer)
  const search = await touchmark('audit', 'search', 'event:device.report', '-o', 'json')
  const reports = search.stdout.split('\n').filter(Boolean)
  assert.equal(reports.length, 1, 'the same again is no record')
  assert.deepEqual((JSON.parse(reports[0] ?? '') as { reported: object }).reported, newer)
  const history = await touchmark('devices', 'history', (await device()).id, '-o', 'json')
  assert.deepEqual(
    history.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { event: string }).event),
    ['device.enroll', 'device.promote', 'device.renew', 'device.report'],
  )
  await restart()
  assert.deepEqual((await device()).reported, newer)
  const found = async (query: string) => (await operator<readonly DeviceView[]>('devices', 'ls', '-q', query)).length
  assert.equal(await found('model:"RX 7" os:Debian* fact.service.opcua=4840*'), 1)
  assert.equal(await found('-fact.role=gateway'), 0)
  assert.equal(await found('label.role=gateway'), 0)
})

test('no lock, no binding and no rotation goes by what a device says of itself, at a renewal either', async (t) => {
  const { device, operator, touchmark } = await openWorld(t, {})
  assert.equal((await renew(device, { reported: gateway })).status, 201)
  for (const selector of ['role=gateway', 'reported.role=gateway', 'fact.role=gateway', 'service.opcua=4840']) {
    const lock = ['locks', 'add', '--labels', selector, '--reason', 'x', '--dry-run'] as const
    assert.equal((await operator<LockAnswer>(...lock)).devices, 0, selector)
  }
  const { id, labels } = await device()
  assert.deepEqual(labels, {})
  assert.equal((await touchmark('policy', 'can', id, 'publish', 'devices/other/cmd/x')).code, 4)
})

test('hostile facts are refused as a whole, or shown without steering anything', async (t) => {
  const { device, touchmark } = await openWorld(t, gateway)
  const deep = `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`
  const refused: readonly (readonly [what: string, reported: string])[] = [
    [
      '8 KiB and a byte',
      JSON.stringify(Object.fromEntries([...Array(8).keys()].map((at) => [`f${at}`, 'x'.repeat(1020)]))),
    ],
    ['a long fact', JSON.stringify({ model: 'x'.repeat(1025) })],
    ['many facts', JSON.stringify(Object.fromEntries([...Array(33).keys()].map((at) => [`f${at}`, ''])))],
    ['deep', deep],
    ['a list', '["model"]'],
    ['no text', '{"model":7}'],
    ['a prototype', '{"__proto__":"x"}'],
    ['a constructor', '{"constructor":{"prototype":{"online":"x"}}}'],
  ]
  for (const [what, reported] of refused) {
    const { status, body } = await renew(device, `"reported":${reported}`)
    assert.equal(status, 400, `${what}: ${body}`)
  }
  assert.deepEqual((await device()).reported, gateway)
  const hostile = { model: '\u001b[2J\u0007\u202eRX', toString: 'x', constructor: 'y', 'a\nb': '\r\n' }
  assert.equal((await renew(device, { reported: hostile })).status, 201)
  assert.deepEqual((await device()).reported, hostile)
  const { id } = await device()
  for (const command of ['ls -o wide', 'ls -o yaml', 'ls -o csv', 'ls -o json', `show ${id}`]) {
    const { code, stdout } = await touchmark('devices', ...command.split(' '))
    assert.equal(code, 0)
    assert.ok(stdout.includes('RX'))
    assert.doesNotMatch(stdout, /[\u001b\u0007\u202e\r]/, command)
  }
})

interface Joined {
  (): Promise<DeviceView>
  renew(body: string): ReturnType<typeof send>
}

/** A service with one device, which has said this of itself. */
async function openWorld(t: TestContext, reported: object) {
  const folder = temporaryFolder(t)
  let { ready, stop } = await up(folder)
  const ca = readFileSync(join(folder, 'data', 'operator', 'ca.crt'), 'utf8')
  const { privateKey, csr } = await newKey()
  const post = (path: string, body: string, more: object) =>
    send({ port: ready.ports.https, ca, path, method: 'POST', ...more }, body)
  const headers = { authorization: `Bearer ${ready.token ?? ''}` }
  const joined = await post('/v1/join/token', JSON.stringify({ csr, reported }), { headers })
  assert.equal(joined.status, 201, joined.body)
  const { deviceId, certificate, chain } = JSON.parse(joined.body) as JoinAnswer
  const shown = { cert: [certificate, ...chain].join(''), key: pem(privateKey) }
  const touchmark = (...args: readonly string[]) => run(folder, args)
  const operator = async <Answer>(...args: readonly string[]): Promise<Answer> => {
    return JSON.parse((await touchmark(...args, '-o', 'json')).stdout) as Answer
  }
  const device: Joined = Object.assign(() => operator<DeviceView>('devices', 'show', deviceId), {
    renew: (more: string) => post('/v1/renew', `{"csr":"${csr}"${more === '' ? '' : `,${more}`}}`, shown),
  })
  return {
    ...{ device, operator, touchmark },
    async restart() {
      await stop()
      ;({ ready, stop } = await up(folder))
    },
  }
}

/** `more`: fields beside the CSR, or their text. */
function renew(device: Joined, more: object | string): ReturnType<typeof send> {
  return device.renew(typeof more === 'string' ? more : JSON.stringify(more).slice(1, -1))
}
