import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { parseJoinUri } from '#protocol'
import { encodePem } from '#x509'
import { Clock } from '../../device-agent/clock.js'
import { type Disk, nodeDisk } from '../../device-agent/disk.js'
import { enroll, type Enrolling } from '../../device-agent/enroll.js'
import { AgentError } from '../../device-agent/errors.js'
import { SoftwareKey } from '../../device-agent/software-key.js'
import { StateFolder } from '../../device-agent/state-folder.js'
import { tokenJoin } from '../../device-agent/token-join.js'
import { crashingDisk } from './crashing-disk.js'
import {
  createTestCa,
  issuingReply,
  joinAnswer,
  type Reply,
  type ServerOptions,
  startService,
  type TestCa,
  type TestRequest,
  type TestService,
} from './service-double.js'
import { temporaryFolder } from './temporary-folder.js'

const now = Date.now()
const dayMs = 24 * 3_600_000
const ca = await createTestCa(now)

test('joins with a token and leaves key, certificate and bundle where mosquitto finds them', async (context) => {
  const folder = temporaryFolder(context)
  const service = await serve(context, issuingReply(ca))
  const issued = await enroll(enrolling(folder, service.joinUri()))

  assert.equal(issued.facts.deviceId, 'gate-7')
  assert.equal(service.requests[0]?.authorization, 'Bearer tm1.id.secret')
  assert.equal(readlinkSync(join(folder, 'current')), 'generations/1')
  assert.ok(currentCertificate(folder).checkPrivateKey(createPrivateKey(read(folder, 'key.pem'))))
  assert.ok(new X509Certificate(read(folder, 'ca.pem')).raw.equals(ca.root))
  assert.equal(statSync(join(folder, 'current/key.pem')).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(join(folder, 'current')).sort(), ['ca.pem', 'cert.pem', 'key.pem', 'meta.json'])
})

test('a crash after any write is repaired by trying again: the same key, one certificate, nothing stray', async (context) => {
  for (let crashAfter = 1; ; crashAfter++) {
    const folder = temporaryFolder(context)
    const service = await serve(context, issuingReply(ca))
    const { disk, crashed } = crashingDisk(crashAfter)
    await enroll(enrolling(folder, service.joinUri(), { disk })).catch(() => undefined)
    if (!crashed()) break
    const written = [1].map((n) => join(folder, `generations/${n}/key.pem`)).find((path) => existsSync(path))
    const key = written === undefined ? undefined : readFileSync(written, 'utf8')

    const state = new StateFolder(folder, nodeDisk)
    await state.repair()
    if ((await state.current()) === undefined) await enroll(enrolling(folder, service.joinUri()))

    if (key !== undefined) assert.equal(read(folder, 'key.pem'), key, `crash after write ${crashAfter}`)
    assert.ok(currentCertificate(folder).checkPrivateKey(createPrivateKey(read(folder, 'key.pem'))))
    assert.deepEqual(readdirSync(join(folder, 'generations')), ['1'])
    assert.ok(new Set(service.requests.map(({ body }) => JSON.stringify(body).length)).size <= 1 || key !== undefined)
    assert.deepEqual(readdirSync(folder).sort(), ['clock', 'current', 'generations'])
  }
})

test('an answer that never arrived is asked for again with the same key', async (context) => {
  const folder = temporaryFolder(context)
  const issue = issuingReply(ca)
  let dropped: Reply | undefined
  const service = await serve(context, async (request) => {
    const answer = await issue(request)
    if (dropped !== undefined) return answer
    dropped = answer
    return 'drop'
  })
  await assert.rejects(enroll(enrolling(folder, service.joinUri())), { code: 'CONNECTION_LOST' })
  await enroll(enrolling(folder, service.joinUri()))
  assert.ok(typeof dropped === 'object' && 'body' in dropped)
  assert.ok(JSON.stringify(dropped.body).includes(JSON.stringify(currentCertificate(folder).toString()).slice(1, -1)))
})

test('says nothing to a server whose chain lacks the pinned key', async (context) => {
  const foreign = await createTestCa(now)
  const service = await serve(context, issuingReply(foreign), { by: foreign })
  const uri = service.joinUri({ pin: ca.pin })
  await assert.rejects(enroll(enrolling(temporaryFolder(context), uri)), { code: 'SERVER_UNTRUSTED' })
  assert.equal(service.requests.length, 0)
})

test('says nothing to a server that sends the pinned root beside a chain of another CA', async (context) => {
  const foreign = await createTestCa(now)
  const mixed: TestCa = {
    ...foreign,
    issueServer: async () => {
      const { key, cert } = await foreign.issueServer()
      return { key, cert: cert + new X509Certificate(ca.root).toString() }
    },
  }
  const service = await serve(context, issuingReply(foreign), { by: mixed })
  const uri = service.joinUri({ pin: ca.pin })
  await assert.rejects(enroll(enrolling(temporaryFolder(context), uri)), { code: 'SERVER_UNTRUSTED' })
  assert.equal(service.requests.length, 0)
})

test('says nothing to a server with another name, however well pinned', async (context) => {
  const service = await serve(context, issuingReply(ca), { dns: 'elsewhere.example' })
  await assert.rejects(enroll(enrolling(temporaryFolder(context), service.joinUri())), { code: 'SERVER_UNTRUSTED' })
  assert.equal(service.requests.length, 0)
})

test('joins by IP address where the certificate names it', async (context) => {
  const service = await serve(context, issuingReply(ca), { ip: '127.0.0.1' })
  await enroll(enrolling(temporaryFolder(context), service.joinUri({ host: '127.0.0.1' })))
  assert.equal(service.requests.length, 1)
})

test('speaks TLS 1.3 only', async (context) => {
  const service = await serve(context, issuingReply(ca), { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })
  await assert.rejects(enroll(enrolling(temporaryFolder(context), service.joinUri())), { code: 'UNREACHABLE' })
})

test('with a clock in 1970 takes the time from the pinned service and keeps it', async (context) => {
  const folder = temporaryFolder(context)
  const service = await serve(context, issuingReply(ca, { serverTime: now }))
  await enroll(enrolling(folder, service.joinUri(), { systemTime: 0 }))
  assert.equal(await new StateFolder(folder, nodeDisk).clockFloor(), now)
})

test('with a clock in 1970 refuses a service whose own certificate has expired by its own time', async (context) => {
  const expired = { notBefore: now - 2 * dayMs, notAfter: now - dayMs }
  const service = await serve(context, issuingReply(ca), expired)
  const joining = enrolling(temporaryFolder(context), service.joinUri(), { systemTime: 0 })
  await assert.rejects(enroll(joining), { code: 'SERVER_EXPIRED' })
})

test('with a clock in 2038 refuses, because nothing proves that it is wrong', async (context) => {
  const service = await serve(context, issuingReply(ca))
  const joining = enrolling(temporaryFolder(context), service.joinUri(), { systemTime: Date.UTC(2038, 0, 19) })
  await assert.rejects(enroll(joining), { code: 'SERVER_EXPIRED' })
  assert.equal(service.requests.length, 0)
})

test('a service whose time lies beyond its own certificate is not believed, and moves no clock', async (context) => {
  const folder = temporaryFolder(context)
  for (const systemTime of [0, now]) {
    const service = await serve(context, issuingReply(ca, { serverTime: now + 30 * dayMs }))
    await assert.rejects(enroll(enrolling(folder, service.joinUri(), { systemTime })), { code: 'SERVER_EXPIRED' })
    assert.equal(await new StateFolder(folder, nodeDisk).clockFloor(), 0)
  }
})

test('refuses an answer that does not fit the question, and keeps none of it', async (context) => {
  const foreign = await createTestCa(now)
  const otherKey = await ca.issueDevice(SoftwareKey.create().spki, 'gate-7')
  const good = issuingReply(ca)
  const change =
    (with_: object) =>
    async (request: TestRequest): Promise<Reply> => {
      const reply = await good(request)
      assert.ok(typeof reply === 'object' && 'body' in reply)
      return { ...reply, body: Object.assign({}, reply.body, with_) }
    }
  const wrong: Record<string, (request: TestRequest) => Reply | Promise<Reply>> = {
    'certificate for another key': () => ({ status: 201, body: joinAnswer(ca, otherKey, 'gate-7') }),
    'certificate of a foreign CA': async (request) => {
      const reply = await issuingReply(foreign)(request)
      assert.ok(typeof reply === 'object' && 'body' in reply)
      const { certificate } = reply.body as { certificate: string }
      return change({ certificate })(request)
    },
    'a root that is not pinned': change({
      trustBundle: { sequence: 1, certificates: [ca.root, foreign.root].map((der) => encodePem('CERTIFICATE', der)) },
    }),
    'certificate in another name': change({ deviceId: 'gate-8' }),
    'a broker without TLS': change({ broker: { mqtts: 'mqtt://localhost:1883' } }),
    'no certificate': change({ certificate: '' }),
    'a missing field': change({ renewal: undefined }),
    'not JSON': () => ({ status: 200, raw: '<html>' }),
    'an empty answer': () => ({ status: 200, raw: '' }),
  }
  for (const [name, reply] of Object.entries(wrong)) {
    const folder = temporaryFolder(context)
    const service = await serve(context, reply)
    await assert.rejects(enroll(enrolling(folder, service.joinUri())), { code: 'ANSWER_INVALID' }, name)
    assert.equal(await new StateFolder(folder, nodeDisk).current(), undefined, name)
  }
})

test('reads no more of an answer than it may', async (context) => {
  const service = await serve(context, () => ({ status: 200, raw: 'x'.repeat(300_000) }))
  await assert.rejects(enroll(enrolling(temporaryFolder(context), service.joinUri())), { code: 'ANSWER_TOO_LARGE' })
})

test('gives up on a server that hangs', async (context) => {
  const service = await serve(context, () => 'hang')
  const limits = { timeoutMs: 100, maxAnswerBytes: 1000 }
  const joining = enrolling(temporaryFolder(context), service.joinUri(), { limits })
  await assert.rejects(enroll(joining), { code: 'TIMED_OUT' })
})

test('hands on why the service refused, and when to come back', async (context) => {
  const service = await serve(context, () => ({
    status: 503,
    body: { type: 'about:blank', title: 'Busy', status: 503, code: 'BUSY', detail: 'one\nline\u001b[31m' },
    headers: { 'retry-after': '7' },
  }))
  const error = await enroll(enrolling(temporaryFolder(context), service.joinUri())).catch((error: unknown) => error)
  assert.ok(error instanceof AgentError)
  assert.equal(error.code, 'REFUSED')
  assert.deepEqual(error.refusal, { status: 503, code: 'BUSY', retryAfterSeconds: 7 })
  assert.doesNotMatch(error.message, /\p{C}/u)
})

test('says that nobody listens where nobody listens', async (context) => {
  const service = await startService(ca, () => 'hang')
  await service.close()
  await assert.rejects(enroll(enrolling(temporaryFolder(context), service.joinUri())), { code: 'UNREACHABLE' })
})

async function serve(
  context: TestContext,
  reply: (request: TestRequest) => Reply | Promise<Reply>,
  options: ServerOptions & { by?: TestCa; minVersion?: 'TLSv1.2'; maxVersion?: 'TLSv1.2' } = {},
): Promise<TestService> {
  const { by = ca, ...tls } = options
  const service = await startService(by, reply, tls)
  context.after(() => service.close())
  return service
}

function enrolling(
  folder: string,
  uri: string,
  options: Pick<Enrolling, 'limits'> & { systemTime?: number; disk?: Disk } = {},
): Enrolling {
  const { systemTime = now, disk = nodeDisk, limits } = options
  return {
    uri: parseJoinUri(uri),
    method: tokenJoin('tm1.id.secret', { os: 'test' }),
    state: new StateFolder(folder, disk),
    clock: new Clock({ system: () => systemTime, monotonic: () => 0 }),
    ...(limits === undefined ? {} : { limits }),
  }
}

function read(folder: string, name: string): string {
  return readFileSync(join(folder, 'current', name), 'utf8')
}

function currentCertificate(folder: string): X509Certificate {
  return new X509Certificate(read(folder, 'cert.pem'))
}
