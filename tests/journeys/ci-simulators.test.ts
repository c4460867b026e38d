import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import {
  decodeJson,
  decodeOidcJoinAnswer,
  encodeBase64url,
  formatOidcAudience,
  type JoinUri,
  parseJoinUri,
  parseTrustDomain,
  routes,
} from '#protocol'
import { keySetHash, spkiHash } from '#x509'
import { run } from '../../demo/programs.js'
import type { Stage } from '../../demo/stage.js'
import { startIssuer, type TestIssuer } from '../enrollment/oidc/issuer.js'
import { keysOf } from '../enrollment/oidc/world.js'
import { emptyStage, searchAudit } from './world.js'

test('a CI job joins simulated devices with its token, and they speak MQTT', async (t) => {
  const { stage, issuer } = await openCi(t)
  const out = join(stage.folder, 'simulators')
  const join3 = ['join-oidc', '--join', stage.joinUri, '--out', out, '--count', '3']
  const asked = await run('touchmark-agent', join3)
  assert.equal(asked.exitCode, 0, asked.stderr)
  const audience = asked.stdout.trim()
  assert.match(audience, /^touchmark:touchmark\.local:default:[\w-]{43}$/)

  const token = join(stage.folder, 'token')
  writeFileSync(token, await tokenFor(issuer, audience))
  const command = `test "$TOUCHMARK_AUDIENCE" = "${audience}" && cat "${token}"`
  const joined = await run('touchmark-agent', [...join3, '--token-command', command])
  assert.equal(joined.exitCode, 0, joined.stderr)
  assert.deepEqual(joined.stdout.trim().split('\n'), ['sim.ci-7301.0', 'sim.ci-7301.1', 'sim.ci-7301.2'])
  const again = await run('touchmark-agent', join3)
  assert.equal(again.stdout, joined.stdout, 'what has joined is left alone')

  const data = join(out, '2')
  const published = await run('touchmark-agent', ['publish', 'devices/sim.ci-7301.2/state', 'hello', '--data', data])
  assert.equal(published.exitCode, 0, published.stderr)
  const [record] = await searchAudit(stage, '--event', 'message.publish')
  assert.equal(record?.device, 'sim.ci-7301.2')
  const devices = await stage.ask<{ id: string; labels: object }[]>('devices', 'ls', '-q', 'label.site=ci')
  assert.equal(devices.length, 3)
})

test('a thousand devices join in one request, one more is too many, and a stranger’s thousand are not looked at', async (t) => {
  const { stage, issuer } = await openCi(t)
  const keys = await keysOf(1000)
  const { profile } = uriOf(stage)
  const keySet = keySetHash(keys.map(({ spki }) => spkiHash(spki)))
  const audience = formatOidcAudience(parseTrustDomain('touchmark.local'), { profile, keySet })
  const csrs = keys.map(({ csr }) => encodeBase64url(csr))
  const idToken = await tokenFor(issuer, audience)
  const more = await post(stage, { profile, idToken, csrs: [...csrs, csrs[0]] })
  assert.deepEqual([more.status, more.code], [400, 'INVALID_MESSAGE'])
  const huge = await post(stage, { profile, idToken, csrs: csrs.map((csr) => csr + 'A'.repeat(900)) })
  assert.deepEqual([huge.status, huge.code], [413, 'REQUEST_TOO_LARGE'])
  const forged = await post(stage, { profile, idToken: `${idToken}A`, csrs })
  assert.deepEqual([forged.status, forged.code], [403, 'OIDC_TOKEN_INVALID'])

  const joined = await post(stage, { profile, idToken, csrs })
  assert.equal(joined.status, 201, joined.body)
  const { devices } = decodeJson(joined.body, decodeOidcJoinAnswer, 'the answer')
  assert.equal(new Set(devices.map(({ deviceId }) => deviceId)).size, 1000)
  const again = await post(stage, { profile, idToken, csrs: csrs.toReversed() })
  assert.deepEqual(decodeJson(again.body, decodeOidcJoinAnswer, 'the answer').devices.toReversed(), devices)
  const reasons = (await searchAudit(stage, '--event', 'join.refuse')).map(({ reason }) => reason)
  assert.deepEqual(reasons.toSorted(), ['INVALID_MESSAGE', 'OIDC_TOKEN_INVALID', 'REQUEST_TOO_LARGE'])
})

test('where no CI is trusted a job is refused before its keys are read', async (t) => {
  const stage = emptyStage(t)
  await stage.openService()
  const refused = await post(stage, {})
  assert.deepEqual([refused.status, refused.code], [403, 'OIDC_ISSUER_UNKNOWN'])
})

/** A service that trusts a CI of the test's own. */
async function openCi(t: TestContext): Promise<{ readonly stage: Stage; readonly issuer: TestIssuer }> {
  const issuer = await startIssuer(t)
  const stage = emptyStage(t)
  mkdirSync(stage.serverData, { recursive: true })
  writeFileSync(join(stage.serverData, 'ci.pem'), issuer.ca)
  const rule = { match: { repository_id: '42' }, labels: { site: 'ci' } }
  const oidc = [{ name: 'ci', issuer: issuer.url, caFile: 'ci.pem', run: ['run_id'], allow: [rule] }]
  writeFileSync(join(stage.serverData, 'touchmark.yaml'), JSON.stringify({ oidc }))
  await stage.openService()
  return { stage, issuer }
}

function tokenFor(issuer: TestIssuer, aud: string): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer.url, sub: 'job', aud, iat: now, exp: now + 300, repository_id: '42' }
  return issuer.sign({ ...claims, run_id: '7301' })
}

function uriOf(stage: Stage): JoinUri {
  return parseJoinUri(stage.joinUri)
}

interface Posted {
  readonly status: number | undefined
  readonly code: string
  readonly body: string
}

function post(stage: Stage, body: object): Promise<Posted> {
  const { method, path } = routes.joinOidc
  const ca = readFileSync(join(stage.serverData, 'operator', 'ca.crt'), 'utf8')
  const headers = { 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const sending = request({ ca, method, path, headers, host: 'localhost', port: stage.ports.https, agent: false })
    sending.on('error', reject)
    sending.on('response', (response) => {
      const { statusCode: status } = response
      text(response).then((body) => resolve({ status, code: codeOf(body), body }), reject)
    })
    sending.end(JSON.stringify(body))
  })
}

function codeOf(body: string): string {
  const answer: unknown = JSON.parse(body)
  return typeof answer === 'object' && answer !== null && 'code' in answer ? String(answer.code) : ''
}
