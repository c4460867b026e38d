import assert from 'node:assert/strict'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import test, { type TestContext } from 'node:test'
import { EnrollmentError, readCsr } from '#enrollment'
import { type JoinAnswer, parseDeviceId, parseInstanceId, type Problem } from '#protocol'
import { encodeCertsOnly, encodePem, fingerprintOf } from '#x509'
import type { Channel, Service } from '../../server/http/service.js'
import { csrWith } from '../x509/csr-with.js'
import { makeIssuing, makeRoot } from '../x509/world.js'
import { type Answer, type Client, createLeaf, createWorld } from './world.js'

/* The face alone: what becomes of a token and a CSR is tested in enrollment/. */

const est = '/.well-known/est'
const secret = 'S'.repeat(43)
const csr = csrWith({})
const body = Buffer.from(csr).toString('base64')

test('who knows nothing yet is told the CAs, and what a CSR should hold', async (t) => {
  const world = await openWorld(t)
  const cas = await world.send({ method: 'GET', path: `${est}/default/cacerts` })
  assert.equal(cas.status, 200)
  assert.equal(cas.headers['content-type'], 'application/pkcs7-mime; smime-type=certs-only')
  assert.equal(cas.headers['content-transfer-encoding'], undefined)
  assert.deepEqual(bytesOf(cas), encodeCertsOnly(world.authorities()))
  assert.ok(cas.body.split('\n').every((line) => line.length <= 64))
  const attributes = await world.send({ method: 'GET', path: `${est}/default/csrattrs` })
  assert.deepEqual([attributes.status, attributes.headers['content-type']], [200, 'application/csrattrs'])
})

test('a token comes as HTTP Basic in two forms, and goes on in its own', async (t) => {
  const world = await openWorld(t)
  for (const credentials of [`t1:${secret}`, `:tm1.t1.${secret}`]) {
    for (const scheme of ['Basic', 'basic', 'BASIC']) {
      const answer = await world.enroll({ headers: { authorization: `${scheme} ${encode(credentials)}` } })
      assert.equal(answer.status, 200, answer.body)
      assert.equal(answer.headers['content-type'], 'application/pkcs7-mime; smime-type=certs-only')
      assert.deepEqual(bytesOf(answer), encodeCertsOnly([world.leaf.der]))
      const { token, exporter, reading } = world.joins.at(-1) ?? assert.fail()
      assert.deepEqual([token, exporter, reading], [`tm1.t1.${secret}`, 32, 'claims'])
    }
  }
})

test('without a credential that can be one, the challenge of HTTP Basic; and none of it is repeated', async (t) => {
  const world = await openWorld(t)
  const hostile = [
    undefined,
    '',
    'Basic',
    'Basic ',
    `Bearer tm1.t1.${secret}`,
    `Digest username="t1"`,
    `Basic ${encode(`t1:${secret}`)} x`,
    `Basic ${encode(`t1:${secret}`)}, Basic ${encode(`t1:${secret}`)}`,
    `Basic ${encode(`t1:${secret}\0`)}`,
    `Basic ${encode(`t1\0:${secret}`)}`,
    `Basic ${encode(`t1:x:${secret}`)}`,
    `Basic ${encode(`:${secret}`)}`,
    `Basic ${encode(`t1:tm1.t2.${secret}`)}`,
    `Basic ${encode(`:tm1.t1.${secret}\n`)}`,
    `Basic ${encode(`tm1.t1.${secret}`)}`,
    `Basic ${Buffer.from([0xff, 0xfe, 0x3a, ...Buffer.from(secret)]).toString('base64')}`,
    `Basic ${encode('A'.repeat(3000))}`,
    `Basic ****`,
  ]
  for (const authorization of hostile) {
    const answer = await world.enroll({ headers: authorization === undefined ? {} : { authorization } })
    assert.deepEqual([answer.status, codeOf(answer)], [401, 'TOKEN_REQUIRED'], authorization)
    assert.match(answer.headers['www-authenticate'] ?? '', /^Basic realm="/)
    assert.ok(!answer.body.includes('SSS'))
  }
  assert.deepEqual(world.joins, [])
  assert.equal(world.turnedAway.filter((why) => why === 'token TOKEN_REQUIRED').length, hostile.length)
})

test('of two Authorization headers neither counts', async (t) => {
  const world = await openWorld(t)
  const basic = `authorization: Basic ${encode(`t1:${secret}`)}`
  for (const heads of [
    [basic, basic],
    [basic, 'authorization: Bearer x'],
    [basic, 'Authorization:'],
  ]) {
    assert.match(await world.speak([...heads, `content-length: ${body.length}`], body), /^HTTP\/1\.1 401 /)
  }
  assert.deepEqual(world.joins, [])
})

test('base64 may stand in lines, with white space; what is no base64 or no CSR is refused as such', async (t) => {
  const world = await openWorld(t)
  const lines = body.match(/.{1,64}/g) ?? assert.fail()
  for (const good of [body, `${body}\n`, lines.join('\n'), `${lines.join('\r\n')}\r\n`, ` \t${lines.join(' \n\t')}`]) {
    assert.equal((await world.enroll({ body: good })).status, 200)
    assert.deepEqual(world.joins.at(-1)?.csr, csr)
  }
  const trailing = Buffer.concat([csr, Uint8Array.of(0)]).toString('base64')
  const pem = encodePem('CERTIFICATE REQUEST', csr)
  for (const [bad, code] of [
    ['', 'REQUEST_INVALID'],
    [`${body}#`, 'INVALID_ENCODING'],
    [`${body.slice(0, 8)}\0${body.slice(8)}`, 'INVALID_ENCODING'],
    [body.slice(0, -1), 'INVALID_ENCODING'],
    [`${body}====`, 'INVALID_ENCODING'],
    [Buffer.from(csr).toString('latin1'), 'INVALID_ENCODING'],
    [pem, 'INVALID_ENCODING'],
    ['{"csr":"AAAA"}', 'INVALID_ENCODING'],
    [trailing, 'CSR_INVALID'],
    [body.slice(0, 40), 'CSR_INVALID'],
    [encode('0'.repeat(9000)), 'CSR_INVALID'],
  ] as const) {
    const answer = await world.enroll({ body: bad })
    assert.deepEqual([answer.status, codeOf(answer)], [400, code], bad.slice(0, 60))
    assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/)
  }
})

test('a body of another type, or an answer of another, is refused by name', async (t) => {
  const world = await openWorld(t)
  for (const type of ['application/json', 'text/plain', 'application/pkcs10x', 'application/x-www-form-urlencoded']) {
    const answer = await world.enroll({ type })
    assert.deepEqual([answer.status, codeOf(answer)], [415, 'MEDIA_TYPE_UNSUPPORTED'], type)
  }
  for (const type of ['Application/PKCS10', 'application/pkcs10; charset=utf-8']) {
    assert.equal((await world.enroll({ type })).status, 200, type)
  }
  for (const accept of ['application/json', 'text/html, image/*', 'application/pkcs7-mime;q=0', 'nonsense']) {
    const answers = [await world.enroll({ more: { accept } }), await world.cacerts(accept)]
    for (const answer of answers) assert.deepEqual([answer.status, codeOf(answer)], [406, 'NOT_ACCEPTABLE'], accept)
  }
  for (const accept of ['*/*', 'application/*', 'text/html, application/PKCS7-MIME;q=0.1', 'application/pkcs7-mime']) {
    assert.equal((await world.cacerts(accept)).status, 200, accept)
  }
})

test('three megabytes are refused by their length, or where they say none, at the bound', async (t) => {
  const world = await openWorld(t)
  const announced = await world.speak([`content-length: ${3 << 20}`], '') // and not a byte of it is sent
  assert.match(announced, /^HTTP\/1\.1 413 .*REQUEST_TOO_LARGE/s)
  const chunk = `4000\r\n${'A'.repeat(0x4000)}\r\n`
  const endless = await world.speak(['transfer-encoding: chunked'], chunk + chunk) // and no last one
  assert.match(endless, /^HTTP\/1\.1 413 .*REQUEST_TOO_LARGE/s)
  assert.deepEqual(world.turnedAway, ['token REQUEST_TOO_LARGE', 'token REQUEST_TOO_LARGE'])
})

test('a profile or an operation that is not there is not found, however it is written', async (t) => {
  const world = await openWorld(t)
  const labels = [
    'other',
    'Default',
    '%2e%2e',
    '..',
    '%00',
    'a%2Fb',
    '%F0%9F%98%80',
    '__proto__',
    'x'.repeat(65),
    'x'.repeat(2000),
    '%zz',
    '%ff',
    '+',
    '',
  ]
  for (const label of labels) {
    const cacerts = await world.send({ method: 'GET', path: `${est}/${label}/cacerts` })
    assert.equal(cacerts.status, 404, label)
    assert.match(cacerts.headers['content-type'] ?? '', /^application\/problem\+json/)
    assert.equal((await world.enroll({ label })).status, 404, label)
  }
  for (const operation of ['fullcmc', 'serverkeygen', 'cacerts/x', '']) {
    assert.equal((await world.send({ method: 'GET', path: `${est}/default/${operation}` })).status, 404, operation)
  }
  assert.equal((await world.send({ method: 'GET', path: `${est}/default/simpleenroll` })).status, 404)
  assert.deepEqual(world.joins, [])
})

test('a renewal is for who shows a certificate, and no token stands in for it', async (t) => {
  const world = await openWorld(t)
  const basic = { authorization: `Basic ${encode(`t1:${secret}`)}` }
  const answer = await world.enroll({ operation: 'simplereenroll', headers: basic })
  assert.deepEqual([answer.status, codeOf(answer)], [401, 'DEVICE_CERTIFICATE_REQUIRED'])
  const renewed = await world.enroll({ operation: 'simplereenroll', headers: {} }, world.leaf)
  assert.deepEqual([renewed.status, bytesOf(renewed)], [200, encodeCertsOnly([world.leaf.der])])
  assert.equal(world.joins.at(-1)?.token, `renew ${fingerprintOf(world.leaf.der)}`)
})

test('over the limits, and where verifying has failed, it says when to come again', async (t) => {
  for (const code of ['BUSY', 'VERIFIER_FAILED'] as const) {
    const world = await openWorld(t, new EnrollmentError(code, 'not now', { retryAfterSeconds: 7 }))
    const answer = await world.enroll({})
    assert.deepEqual([answer.status, codeOf(answer), answer.headers['retry-after']], [503, code, '7'])
  }
})

test('without a token a join is for who shows a manufacturer’s certificate and its chain; a token goes first', async (t) => {
  const world = await openWorld(t)
  const shown = [world.leaf.der, ...world.authorities()].map(fingerprintOf)
  const joined = await world.enroll({ headers: {} }, world.leaf)
  assert.deepEqual([joined.status, bytesOf(joined)], [200, encodeCertsOnly([world.leaf.der])])
  assert.deepEqual([world.joins.at(-1)?.token, world.joins.at(-1)?.reading], [`idevid ${shown.join(' ')}`, 'claims'])
  assert.equal((await world.enroll({}, world.leaf)).status, 200)
  assert.equal(world.joins.at(-1)?.token, `tm1.t1.${secret}`)
  const wrong = await world.enroll({ headers: { authorization: 'Basic x' } }, world.leaf)
  assert.deepEqual([wrong.status, codeOf(wrong)], [401, 'TOKEN_REQUIRED'])
})

test('who waits for an operator hears 202, and when to ask again', async (t) => {
  const waiting = new EnrollmentError('APPROVAL_PENDING', 'an operator is asked', { retryAfterSeconds: 60 })
  const world = await openWorld(t, waiting)
  const answer = await world.enroll({ headers: {} }, world.leaf)
  assert.deepEqual([answer.status, answer.headers['retry-after'], codeOf(answer)], [202, '60', 'APPROVAL_PENDING'])
})

interface Join {
  readonly token: string
  readonly csr: Uint8Array
  readonly exporter?: number | undefined
  readonly reading?: string | undefined
}

interface Enrolling {
  readonly label?: string
  readonly operation?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly more?: Readonly<Record<string, string>>
  readonly body?: string
  readonly type?: string
}

/** The face over an enrollment that gives everybody the same certificate, and notes what it was given. */
async function openWorld(t: TestContext, refusal?: EnrollmentError) {
  const joins: Join[] = []
  const turnedAway: string[] = []
  const { issuing, leaf } = await makeLeaf()
  const join = async (token: string, csr: Uint8Array, { exporter }: Channel, reading?: string) => {
    if (refusal) throw refusal
    readCsr(csr)
    joins.push({ token, csr, exporter: exporter?.length, reading })
    return answerWith(leaf.der)
  }
  const none = () => Promise.reject(new TypeError('not in this test'))
  const enrollment: Service['enrollment'] = {
    createNonce: () => assert.fail(),
    termsOf: (profile) => {
      if (profile !== 'default') throw new EnrollmentError('PROFILE_UNKNOWN', 'there is no such profile')
      return { pcrs: [], eventLog: false }
    },
    joinWithToken: (token, { csr }, channel, reading) => join(token, csr, channel, reading),
    renew: (der, { csr }, channel, reading) => join(`renew ${fingerprintOf(der)}`, csr, channel, reading),
    joinWithIdevid: (chain, { csr }, channel, reading) =>
      join(`idevid ${chain.map(fingerprintOf).join(' ')}`, csr, channel, reading),
    beginTpmJoin: none,
    activateTpmJoin: none,
    takesJobs: false,
    joinWithOidc: none,
    renewalInfo: none,
    turnAway: (method, reason) => void turnedAway.push(`${method} ${reason}`),
  }
  const authorities = () => [issuing.certificate]
  const world = await createWorld(t, { enrollment, authorities })
  const { send, port, ca } = world

  return {
    ...{ send, joins, turnedAway, leaf, authorities },
    cacerts: (accept: string) => send({ method: 'GET', path: `${est}/default/cacerts`, headers: { accept } }),
    enroll(
      {
        label = 'default',
        operation = 'simpleenroll',
        headers = { authorization: `Basic ${encode(`t1:${secret}`)}` },
        more = {},
        body: content = body,
        type = 'application/pkcs10',
      }: Enrolling,
      client?: Client,
    ): Promise<Answer> {
      const path = `${est}/${label}/${operation}`
      return send({ method: 'POST', path, type, headers: { ...headers, ...more }, body: content }, client)
    },
    /** A join as no client would send it, and all that is answered until the server ends the connection. */
    async speak(heads: readonly string[], content: string): Promise<string> {
      const socket = connect({ host: '127.0.0.1', servername: 'localhost', port, ca })
      await once(socket, 'secureConnect')
      const heard = text(socket)
      const line = `POST ${est}/default/simpleenroll HTTP/1.1`
      const common = ['host: localhost', 'content-type: application/pkcs10', 'connection: close']
      socket.write(`${[line, ...common, ...heads].join('\r\n')}\r\n\r\n${content}`)
      return heard
    },
  }
}

async function makeLeaf() {
  const issuing = await makeIssuing(await makeRoot())
  return { issuing, leaf: await createLeaf(issuing, 'pump-1', { device: true }) }
}

function answerWith(der: Uint8Array): JoinAnswer {
  const now = new Date('2026-03-01T12:00:00Z')
  return {
    deviceId: parseDeviceId('pump-1'),
    instanceId: parseInstanceId('i-1'),
    certificate: encodePem('CERTIFICATE', der),
    chain: [],
    trustBundle: { sequence: 1, certificates: [] },
    broker: { mqtts: 'mqtts://broker.example:8883' },
    renewal: { start: now, end: now },
    serverTime: now,
  }
}

function encode(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64')
}

/** What a body of base64 holds. */
function bytesOf({ body }: Answer): Uint8Array {
  return new Uint8Array(Buffer.from(body, 'base64'))
}

function codeOf(answer: Answer): string {
  return (answer.json() as Problem).code
}
