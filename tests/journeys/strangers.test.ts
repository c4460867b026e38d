import assert from 'node:assert/strict'
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { CertificateSerial } from '#protocol'
import { createCertificate, createKeyPair, decodePem, encodePem, oids, readSerial, spkiOf, tierPolicyOid } from '#x509'
import type { Stage } from '../../demo/stage.js'
import { publishes, RawClient } from './raw-client.js'
import { connected, credentialOf, enroll, next, openStage, searchAudit } from './world.js'

interface Issuer {
  readonly privateKey: KeyObject
  readonly certificate?: Uint8Array
}

const hour = 60 * 60 * 1000

test('cases 35 and 86: whoever cannot show a certificate from the table is turned away, and a device goes on beside them', async (t) => {
  const { stage, thermo, gateway } = await openWorld(t)
  const listener = await connected(t, stage, gateway, { clientId: 'gateway-1' })
  await listener.subscribeAsync('devices/+/telemetry/#', { qos: 1 })
  const { ca, cert } = credentialOf(thermo)
  const serial = readSerial(decodePem(cert, 'CERTIFICATE')[0] ?? new Uint8Array())
  const strangers = {
    'without a certificate': {},
    'self-signed': await certified(),
    'of a foreign CA': await certified(await foreignCa()),
    'by our own issuing key, expired': await certified(stolenCa(stage), -hour),
    'by our own issuing key, in no table': await certified(stolenCa(stage)),
    'by our own issuing key, with the live serial and another key': await certified(stolenCa(stage), hour, serial),
    'the same, expired': await certified(stolenCa(stage), -hour, serial),
  }
  for (const [who, credential] of Object.entries(strangers)) {
    const client = new RawClient(t, stage.ports.mqtt, { ca, ...credential })
    const answer = await client.open('thermo-1')
    assert.ok(answer === undefined || (answer.cmd === 'connack' && answer.returnCode !== 0), who)
    await client.closed
  }
  const heard = next(listener, 'message')
  await thermo.does('publish', 'devices/thermo-1/telemetry/t', '21.5')
  await heard

  const reasons = (await searchAudit(stage, '--event', 'session.refuse')).map(({ reason }) => reason)
  assert.ok(reasons.includes('unknown_certificate'), reasons.join())
  assert.ok(reasons.length > 1, reasons.join())
  const sessions = await searchAudit(stage, '--event', 'session.connect')
  assert.equal(sessions.length, 2)
})

test('a subscriber that never reads costs nobody else anything', async (t) => {
  const { stage, thermo, gateway } = await openWorld(t)
  const deaf = new RawClient(t, stage.ports.mqtt, credentialOf(gateway))
  await deaf.open('gateway-1~deaf')
  const subscription = { topic: 'devices/+/telemetry/#', qos: 1 } as const
  deaf.send([{ cmd: 'subscribe', messageId: 1, subscriptions: [subscription] }])
  await deaf.until(() => deaf.count('suback') === 1)
  deaf.socket.pause()
  const listener = await connected(t, stage, gateway, { clientId: 'gateway-1~good' })
  await listener.subscribeAsync(subscription.topic, { qos: 1 })
  const topics = new Set<string>()
  listener.on('message', (topic) => topics.add(topic))

  const speaker = new RawClient(t, stage.ports.mqtt, credentialOf(thermo))
  await speaker.open('thermo-1')
  speaker.send(publishes('devices/thermo-1/telemetry', 1, 0, 2000))
  while (topics.size < 2000) await next(listener, 'message')
  await speaker.until(() => speaker.count('puback') === 2000)
  assert.equal(speaker.socket.destroyed, false)
})

test('5,000 pipelined publishes and a dropped socket: what was acknowledged is in the log, and the server goes on', async (t) => {
  const { stage, thermo } = await openWorld(t)
  const speaker = new RawClient(t, stage.ports.mqtt, credentialOf(thermo))
  await speaker.open('thermo-1')
  speaker.send(publishes('devices/thermo-1/telemetry', 1, 0, 5000))
  await speaker.until(() => speaker.count('puback') > 100)
  speaker.socket.destroy()
  const acknowledged = speaker.count('puback')
  await thermo.does('publish', 'devices/thermo-1/telemetry/after', 'still here')

  const published = await searchAudit(stage, '--event', 'message.publish')
  assert.ok(published.length > acknowledged)
  assert.equal(published.at(-1)?.topic, 'devices/thermo-1/telemetry/after')
  const [end] = await searchAudit(stage, '--event', 'session.end')
  assert.equal(end?.reason, 'lost')
  await stage.operator('audit', 'verify') // fails when the log is not what was signed
})

async function openWorld(t: TestContext) {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway')
  return { stage, thermo, gateway }
}

/** A client certificate for the name of a device that exists: by an issuer, or by itself. */
async function certified(issuer?: Issuer, lifetime = hour, serial?: CertificateSerial) {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const leaf = await createCertificate(
    {
      subject: [{ type: oids.commonName, value: 'thermo-1' }],
      subjectAltName: [{ uri: 'spiffe://touchmark.local/device/thermo-1' }],
      spki: spkiOf(publicKey),
      notBefore: new Date(Date.now() - 2 * hour),
      notAfter: new Date(Date.now() + lifetime),
      keyUsage: ['digitalSignature'],
      extKeyUsage: [oids.clientAuth],
      ...(serial !== undefined && { serial }),
      certificatePolicies: [tierPolicyOid('token')],
    },
    issuer ?? { privateKey },
  )
  const chain = issuer?.certificate === undefined ? [leaf] : [leaf, issuer.certificate]
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: chain.map((certificate) => encodePem('CERTIFICATE', certificate)).join(''),
  }
}

async function foreignCa(): Promise<Issuer> {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const validity = { notBefore: new Date(Date.now() - 2 * hour), notAfter: new Date(Date.now() + hour) }
  const certificate = await createCertificate(
    {
      subject: [{ type: oids.commonName, value: 'another CA' }],
      spki: spkiOf(publicKey),
      ...validity,
      authority: { pathLength: 0 },
      keyUsage: ['keyCertSign'],
    },
    { privateKey },
  )
  return { privateKey, certificate }
}

/** Whoever has our issuing key can sign as we do; what opens doors is the table (enrollment spec, certificate of a device). */
function stolenCa(stage: Stage): Issuer {
  const pem = readFileSync(join(stage.serverData, 'ca', 'issuing.pem'), 'utf8')
  const [certificate] = decodePem(pem, 'CERTIFICATE')
  assert.ok(certificate)
  return { privateKey: createPrivateKey(pem), certificate }
}
