import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { FoundService } from '#protocol'
import { needs } from '../needs.js'
import { send } from '../server/device-https.js'
import { mosquitto } from './clients/mosquitto.js'
import { credentialOf, enroll, openStage, searchAudit } from './world.js'

const policy = (version: number, discover: string) => `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: services, version: ${version} }
roles:
  device: { sessions: { max: 4 }, allow: [{ id: own, actions: [publish], topics: ["devices/\${device.id}/#"] }] }
  gateway: { ${discover} }
bindings:
  - { role: device, match: { tier: [token, tpm] } }
  - { role: gateway, match: { labels: { role: gateway } } }
`
const granted = 'discover: [{ id: plcs, labels: { site: "${device.labels.site}" }, services: [opcua, "mod*"] }]'

test('a device finds what others offer as far as the policy lets it, and no longer than that', async (t) => {
  const stage = await openStage(t)
  const apply = async (version: number, discover: string) => {
    const file = join(stage.folder, `policy-${version}.yaml`)
    writeFileSync(file, policy(version, discover))
    await stage.operator('policy', 'apply', file)
  }
  await apply(2, granted)
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway', 'site=oslo')
  const settings = join(stage.folder, 'agent.json')
  const facts = { 'service.opcua': 'plc-1.local:4840/tcp', 'service.ssh': '22/tcp', 'service.mod+#': '1/tcp' }
  writeFileSync(settings, JSON.stringify({ facts }), { mode: 0o600 })
  for (const [name, site] of [
    ['plc-1', 'oslo'],
    ['plc-2', 'bergen'],
  ] as const) {
    const { token } = await stage.ask<{ token: string }>(
      'tokens',
      'create',
      '--device',
      name,
      '--label',
      `site=${site}`,
    )
    await stage.device(name).does('enroll', '--join', stage.joinUri, '--token', token, '--config', settings)
  }
  const find = async (...wanted: readonly string[]) =>
    JSON.parse(await gateway.does('services', '-o', 'json', ...wanted)) as readonly FoundService[]
  const opcua = { device: 'plc-1', labels: { site: 'oslo' }, service: 'opcua', protocol: 'tcp', port: 4840 }
  assert.deepEqual(await find(), [{ ...opcua, host: 'plc-1.local', online: false }])
  assert.deepEqual(await find('--label', 'site=bergen'), [])
  assert.equal(await gateway.does('services', '--protocol', 'tcp'), 'plc-1  opcua  plc-1.local:4840/tcp  offline\n')

  const ungranted = await stage.device('plc-1').tries('services')
  assert.equal(ungranted.exitCode, 4)
  assert.match(ungranted.stderr, /DISCOVERY_NOT_GRANTED/)
  const all = await stage.ask<readonly FoundService[]>('services', 'ls', '--service', 'opc*')
  assert.deepEqual(
    all.map(({ device }) => device),
    ['plc-1', 'plc-2'],
  )
  assert.equal((await stage.tryOperator('policy', 'can', 'gateway-1', 'discover', 'plc-1/opcua')).exitCode, 0)
  assert.equal((await stage.tryOperator('policy', 'can', 'gateway-1', 'discover', 'plc-2/opcua')).exitCode, 4)

  const ask = (path: string, credential: object) =>
    send({
      ...{ port: stage.ports.https, method: 'GET', path },
      ...{ ca: readFileSync(join(stage.serverData, 'operator', 'ca.crt'), 'utf8'), ...credential },
    })
  assert.equal((await ask('/v1/services', {})).status, 401)
  assert.equal((await ask('/v1/services?label.site=%2B', credentialOf(gateway))).status, 400)
  assert.equal((await ask('/v1/services?service=a&service=b', credentialOf(gateway))).status, 400)
  assert.equal((await ask('/v1/services', credentialOf(gateway))).status, 200)
  const operator = (name: string) => readFileSync(join(stage.serverData, 'operator', name), 'utf8')
  const asOperator = { cert: operator('operator.crt'), key: operator('operator.key') }
  assert.equal((await ask('/v1/services', asOperator)).status, 403)

  await stage.operator('locks', 'add', '--device', 'plc-1', '--reason', 'lost')
  assert.deepEqual(await find(), [])
  await apply(3, 'sessions: { max: 2 }')
  assert.equal((await gateway.tries('services')).exitCode, 4)
  await stage.operator('devices', 'revoke', 'gateway-1', '--reason', 'keyCompromise')
  assert.equal((await ask('/v1/services', credentialOf(gateway))).status, 403)
  const asked = await searchAudit(stage, 'event:services.discover')
  assert.deepEqual(
    [...new Set(asked.map(({ device, reason }) => `${device ?? ''} ${reason ?? 'answered'}`))].toSorted(),
    ['gateway-1 answered', 'gateway-1 no_rule', 'gateway-1 revoked', 'plc-1 no_rule'],
  )
})

test(
  'case 106: mosquitto_sub sees services come and go by its device’s grant, and what others say there is refused',
  needs('mosquitto_sub', 'mosquitto_pub'),
  async (t) => {
    const stage = await openStage(t)
    const apply = async (version: number, discover: string, more = '') => {
      const file = join(stage.folder, `policy-${version}.yaml`)
      writeFileSync(file, policy(version, discover) + more)
      return stage.tryOperator('policy', 'apply', file)
    }
    const speaking = granted.replace(
      'discover:',
      'allow: [{ id: a, actions: [publish], topics: ["$touchmark/#"] }], discover:',
    )
    const refused = await apply(2, speaking)
    assert.notEqual(refused.exitCode, 0)
    assert.match(refused.stderr, /policy-2\.yaml:\d+:\d+: \$touchmark is the service's own: nobody publishes there/)
    assert.equal((await apply(2, granted)).exitCode, 0)
    const gateway = await enroll(stage, 'gateway-1', 'role=gateway', 'site=oslo')
    const caller = { device: gateway, clientId: 'gateway-1', port: stage.ports.mqtt, transport: 'TLS' } as const
    const listener = await mosquitto.listen({ ...caller, version: '5', filter: '$touchmark/#', qos: 1 })
    t.after(() => listener.vanish())

    const settings = join(stage.folder, 'agent.json')
    writeFileSync(settings, JSON.stringify({ facts: { 'service.opcua': '4840/tcp' } }), { mode: 0o600 })
    for (const [name, site] of [
      ['plc-2', 'bergen'],
      ['plc-1', 'oslo'],
    ] as const) {
      const { token } = await stage.ask<{ token: string }>(
        'tokens',
        'create',
        '--device',
        name,
        '--label',
        `site=${site}`,
      )
      await stage.device(name).does('enroll', '--join', stage.joinUri, '--token', token, '--config', settings)
    }
    const [first] = await listener.hears(1)
    const opcua = { device: 'plc-1', labels: { site: 'oslo' }, service: 'opcua', protocol: 'tcp', port: 4840 }
    assert.deepEqual(JSON.parse(first?.payload ?? ''), opcua)

    await stage.operator('devices', 'label', 'plc-1', 'site=bergen')
    await stage.operator('devices', 'label', 'plc-1', 'site=oslo')
    await listener.hears(3)
    await stage.operator('locks', 'add', '--device', 'plc-1', '--mode', 'quarantine', '--reason', 'odd')
    await listener.hears(4)
    const [{ id = '' } = {}] = await stage.ask<readonly { id: string }[]>('locks', 'ls')
    await stage.operator('locks', 'rm', id)
    await listener.hears(5)
    await stage.operator('devices', 'revoke', 'plc-1', '--reason', 'keyCompromise')
    assert.deepEqual(
      (await listener.hears(6)).map(({ topic, payload }) => [topic, payload !== '']),
      [true, false, true, false, true, false].map((isThere) => ['$touchmark/services/plc-1/opcua', isThere]),
    )
    const liar = { ...caller, device: stage.device('plc-2'), clientId: 'plc-2', version: '5' } as const
    await mosquitto.publish({ ...liar, topic: '$touchmark/services/plc-1/opcua', payloads: ['{}'], qos: 1 })
    assert.equal(listener.heard.length, 6)
    const [denied] = await searchAudit(stage, 'event:message.publish device:plc-2')
    assert.equal(denied?.reason, 'reserved')
  },
)
