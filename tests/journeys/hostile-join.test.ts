import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import {
  type Decoder,
  decodeJoinAnswer,
  decodeJoinNonce,
  decodeTpmChallenge,
  encodeBase64url,
  parseJoinUri,
  routes,
} from '#protocol'
import { createEkAuthority, openSoftwareTpm } from '#simulators'
import { AgentError } from '../../device-agent/errors.js'
import { type Route, ServiceConnection } from '../../device-agent/service.js'
import { openTls } from '../../device-agent/tls.js'
import { trustDomain } from '../ca/world.js'
import { answerTo, evidenceOf, openDevice } from '../enrollment/world.js'
import { emptyStage, searchAudit } from './world.js'

/*
 * A join by TPM over real TLS connections, by somebody who has a genuine TPM and wants more than one certificate from it.
 */

test('what was made for one connection is of no use on another, and a challenge is answered once', async (t) => {
  const { device, connect, stage } = await openWorld(t)
  const [one, other] = [await connect(), await connect()]
  const evidence = await evidenceOf(device, { channel: await one.channel() })
  assert.equal(await other.refusal(routes.joinTpm, evidence), 'CERTIFY_STALE')
  const begin = async () => answerTo(device, await one.send(routes.joinTpm, decodeTpmChallenge, evidence))

  const moved = await begin()
  assert.equal(await other.refusal(routes.joinTpmActivate, moved), 'CHANNEL_MISMATCH')
  assert.equal(await one.refusal(routes.joinTpmActivate, moved), 'COOKIE_SPENT')

  const guessed = await begin()
  const wrong = { ...guessed, secret: new Uint8Array(32) }
  assert.equal(await one.refusal(routes.joinTpmActivate, wrong), 'ACTIVATION_FAILED')
  assert.equal(await one.refusal(routes.joinTpmActivate, guessed), 'COOKIE_SPENT')

  const used = await begin()
  const { deviceId } = await one.send(routes.joinTpmActivate, decodeJoinAnswer, used)
  assert.equal(deviceId, 'pump-1')
  assert.equal(await one.refusal(routes.joinTpmActivate, used), 'COOKIE_SPENT')

  const reasons = (await searchAudit(stage, '--event', 'join.refuse')).map(({ reason }) => reason)
  assert.deepEqual(
    new Set(reasons),
    new Set(['CERTIFY_STALE', 'CHANNEL_MISMATCH', 'COOKIE_SPENT', 'ACTIVATION_FAILED']),
  )
  assert.equal((await searchAudit(stage, '--event', 'device.enroll')).length, 1)
})

test('case 96: over TLS the exporter’s value is no nonce, and a nonce is good once', async (t) => {
  const { device, connect } = await openWorld(t)
  const connection = await connect()
  const exporter = await connection.channel()
  const offered = await evidenceOf(device, { channel: exporter, binding: 'nonce' })
  assert.equal(await connection.refusal(routes.joinTpm, offered), 'NONCE_INVALID')

  const { nonce } = await connection.send(routes.joinNonce, decodeJoinNonce, {})
  const evidence = await evidenceOf(device, { channel: nonce, binding: 'nonce' })
  assert.equal(await connection.refusal(routes.joinTpm, { ...evidence, binding: 'exporter' }), 'CERTIFY_STALE')
  const challenge = await connection.send(routes.joinTpm, decodeTpmChallenge, evidence)
  assert.equal(await (await connect()).refusal(routes.joinTpm, evidence), 'NONCE_INVALID')
  const answer = await connection.send(routes.joinTpmActivate, decodeJoinAnswer, await answerTo(device, challenge))
  assert.equal(answer.deviceId, 'pump-1')
})

/** A service, a registered device with a TPM of software whose maker it trusts, and the way to connect. */
async function openWorld(t: TestContext) {
  const stage = emptyStage(t)
  const now = () => Date.now()
  const ekAuthority = await createEkAuthority({ folder: join(stage.folder, 'maker'), now })
  mkdirSync(stage.serverData, { recursive: true })
  writeFileSync(join(stage.serverData, 'touchmark.yaml'), `trustDomain: ${trustDomain}\n`)
  await stage.openService({ ekRootFiles: [ekAuthority.rootFile] })
  const device = await openDevice(await openSoftwareTpm({ folder: join(stage.folder, 'chip'), ekAuthority, now }))
  await stage.operator('devices', 'register', 'pump-1', '--ek-hash', device.ekHash)
  return { stage, device, connect: () => connectTo(t, stage.joinUri) }
}

async function connectTo(t: TestContext, joinUri: string) {
  const uri = parseJoinUri(joinUri)
  const service = new ServiceConnection(await openTls({ ...uri, ca: [], verify: async () => undefined }), uri)
  t.after(() => service.close())
  const send = <T>(route: Route, decode: Decoder<T>, body: unknown) => service.send(route, decode, asText(body))
  return {
    send,
    channel: () => service.channelBinding(),
    /** The code of a request that must not succeed. */
    refusal: async (route: Route, body: unknown): Promise<string | undefined> => {
      try {
        await send(route, (value) => value, body)
      } catch (error) {
        assert.ok(error instanceof AgentError)
        return error.refusal?.code
      }
      return undefined
    },
  }
}

/** As the wire has it: bytes are base64url. */
function asText(body: unknown): unknown {
  if (body instanceof Uint8Array) return encodeBase64url(body)
  if (Array.isArray(body)) return body.map(asText)
  if (typeof body !== 'object' || body === null) return body
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [name, asText(value)]))
}
