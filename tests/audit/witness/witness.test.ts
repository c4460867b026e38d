import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { createMemoryStore } from '#store'
import { parseCheckpoint, signCheckpoint, verifierKeyOf, verifyCheckpoint } from '../../../audit/tree/checkpoint.js'
import { parseNote, parseSignatureLines } from '../../../audit/tree/note.js'
import { parseWitnessKey, verifyCosignature } from '../../../audit/witness/cosignature.js'
import { serveWitness } from '../../../audit/witness/serve.js'
import { hashOf, Witness, type WitnessRefusal } from '../../../audit/witness/witness.js'
import { createHistory, origin } from './history.js'

const now = 1_790_000_000_000

test('cosigns a first checkpoint and each that is shown to follow, with the time', async (t) => {
  const { history, add, witness } = await createWorld(t)
  for (const [older, newer] of [
    [0, 0],
    [0, 1],
    [1, 7],
    [7, 7],
    [7, 256],
    [256, 300],
  ] as const) {
    const { status, body } = await add(await history.submission(older, newer))
    assert.equal(status, 200, body)
    const checkpoint = parseNote(history.checkpoint(newer))
    const at = verifyCosignature(checkpoint.text, parseSignatureLines(body), parseWitnessKey(witness.verifierKey))
    assert.equal(at, now)
  }
})

test('who begins elsewhere than where it stands hears where that is', async (t) => {
  const { history, add } = await createWorld(t)
  await add(await history.submission(0, 20))
  for (const older of [0, 19, 21]) {
    const { status, body, type } = await add(await history.submission(older, 30))
    assert.deepEqual([status, body, type], [409, '20\n', 'text/x.tlog.size'])
  }
})

test('a roll-back is refused, however it is put', async (t) => {
  const { history, add } = await createWorld(t)
  await add(await history.submission(0, 20))
  assert.deepEqual(await statusAndBody(add(await history.submission(0, 10))), [409, '20\n'])
  assert.deepEqual(await statusAndBody(add(await history.submission(10, 10))), [409, '20\n'])
  assert.equal((await add(await history.submission(20, 10))).status, 400)
  assert.equal((await add(await history.submission(20, 21))).status, 200)
})

test('case 105: of two heads the second is refused, and whoever runs the witness gets both checkpoints of it', async (t) => {
  const { history, add, refusals } = await createWorld(t)
  await add(await history.submission(0, 20))
  const fork = history.forkAt(12)
  assert.equal((await add(await fork.submission(20, 30))).status, 422)
  assert.deepEqual(
    refusals.map(({ fork }) => fork),
    [false],
  )
  assert.equal((await add(await fork.submission(20, 20))).status, 422)
  assert.equal((await add(await fork.submission(0, 20))).status, 409)
  const [, same] = refusals
  assert.deepEqual(
    refusals.map(({ fork }) => fork),
    [false, true, true],
  )
  const heads = [same?.submitted, same?.cosigned].map((note) => verifyCheckpoint(note ?? '', history.verifierKey))
  assert.equal(heads[0]?.size, heads[1]?.size)
  assert.notDeepEqual(heads[0]?.root, heads[1]?.root)
  assert.equal((await add(await history.submission(20, 30))).status, 200)
})

test('a proof must be right, and empty where there is nothing to prove', async (t) => {
  const { history, add } = await createWorld(t)
  const hash = `${Buffer.alloc(32, 7).toString('base64')}\n`
  const withProof = (body: string, lines: string) =>
    body.slice(0, body.indexOf('\n') + 1) + lines + body.slice(body.indexOf('\n\n') + 1)
  assert.equal((await add(withProof(await history.submission(0, 20), hash))).status, 422)
  assert.equal((await add(await history.submission(0, 20))).status, 200)
  assert.equal((await add(withProof(await history.submission(20, 30), ''))).status, 422)
  assert.equal((await add(withProof(await history.submission(20, 30), hash.repeat(3)))).status, 422)
  assert.equal((await add(`old 20\n${hash}\n${history.checkpoint(20)}`)).status, 422)
})

test('an empty tree has the root of an empty tree', async (t) => {
  const { history, add } = await createWorld(t)
  const forged = signCheckpoint({ origin, size: 0, root: Buffer.alloc(32) }, history.signingKey)
  assert.equal((await add(`old 0\n\n${forged}`)).status, 422)
  assert.equal((await add(`old 0\n\n${history.checkpoint(0)}`)).status, 200)
})

test('only what the log has signed counts', async (t) => {
  const { history, add } = await createWorld(t)
  const submission = await history.submission(0, 20)
  const stranger = generateKeyPairSync('ed25519').privateKey
  const head = parseCheckpoint(history.checkpoint(20))
  assert.equal((await add(`old 0\n\n${signCheckpoint({ ...head, origin: 'elsewhere' }, stranger)}`)).status, 404)
  assert.equal((await add(`old 0\n\n${signCheckpoint(head, stranger)}`)).status, 403)
  assert.equal((await add(submission.replace('\n20\n', '\n21\n'))).status, 403)
  const foreign = `— elsewhere ${Buffer.alloc(68).toString('base64')}\n`
  assert.equal((await add(submission + foreign)).status, 200)
})

test('while a log changes its key it is known by the old one, by both, and by the new one', async (t) => {
  const { history, add, get, next, refusals } = await createWorld(t)
  const signed = (size: number, ...keys: readonly KeyObject[]) =>
    signCheckpoint(parseCheckpoint(history.checkpoint(size)), ...keys)
  const submit = async (older: number, newer: number, ...keys: readonly KeyObject[]) => {
    const body = await history.submission(older, newer)
    return await add(body.replace(history.checkpoint(newer), signed(newer, ...keys)))
  }
  const [old, stranger] = [history.signingKey, generateKeyPairSync('ed25519').privateKey]
  const vkeys = [old, next].map((key) => verifierKeyOf(origin, key))
  const kept = async () => (await get(`/${hashOf(origin)}/checkpoint`)).body
  assert.equal((await submit(0, 20, old)).status, 200)
  assert.equal((await submit(20, 30, next, old)).status, 200)
  for (const vkey of vkeys) assert.equal(verifyCheckpoint(await kept(), vkey).size, 30, 'whoever has either key')
  assert.equal((await submit(30, 40, stranger)).status, 403)
  const halfForged = signed(40, next).replace(/\n$/, `\n${signed(41, old).split('\n').at(-2) ?? ''}\n`)
  const body = (await history.submission(30, 40)).replace(history.checkpoint(40), halfForged)
  assert.equal((await add(body)).status, 403, 'a signature by either that does not hold spoils it')
  assert.equal((await submit(30, 40, next)).status, 200)
  const fork = await history.forkAt(12).submission(40, 40)
  assert.equal((await add(fork)).status, 422, 'two pasts are two pasts, whichever key signs them')
  assert.deepEqual(
    refusals.map(({ fork }) => fork),
    [true],
  )
})

test('what is no submission is refused with 400', async (t) => {
  const { history, add } = await createWorld(t)
  const note = history.checkpoint(20)
  const hash = Buffer.alloc(32).toString('base64')
  const bad = [
    '',
    'old 0',
    note,
    `old 0\n${note}`,
    `old 00\n\n${note}`,
    `old -1\n\n${note}`,
    `old 1e3\n\n${note}`,
    `old 9007199254740993\n\n${note}`,
    `old  0\n\n${note}`,
    `OLD 0\n\n${note}`,
    `old 0\r\n\r\n${note}`,
    `old 1\n${hash.slice(1)}\n\n${note}`,
    `old 1\n${`${hash}\n`.repeat(64)}\n${note}`,
    `old 0\n\n${note.replace('— ', '- ')}`,
    `old 0\n\n${note.slice(0, -1)}`,
    `old 0\n\n${note.replace('\n\n', '\nan\u0007extension\n\n')}`,
  ]
  for (const body of bad) assert.equal((await add(body)).status, 400, JSON.stringify(body))
})

test('of two submissions at once that begin alike only one is cosigned', async (t) => {
  const { history, add } = await createWorld(t)
  await add(await history.submission(0, 20))
  const bodies = await Promise.all([30, 40, 50, 60].map((newer) => history.submission(20, newer)))
  const answers = await Promise.all(bodies.map(add))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409, 409])
})

test('monitors get the newest checkpoint with the signatures of log and witness, and nothing that others added', async (t) => {
  const { history, add, get, witness } = await createWorld(t)
  const path = `/${hashOf(origin)}/checkpoint`
  assert.equal((await get(path)).status, 404)
  const [name = ''] = witness.verifierKey.split('+', 1)
  const added = `— ${name} ${Buffer.alloc(76).toString('base64')}\n`
  await add((await history.submission(0, 20)) + added)
  const { status, body } = await get(path)
  assert.equal(status, 200)
  assert.equal(verifyCheckpoint(body, history.verifierKey).size, 20)
  const { text: said, signatures } = parseNote(body)
  assert.equal(verifyCosignature(said, signatures, parseWitnessKey(witness.verifierKey)), now)
  assert.equal(signatures.length, 2)
})

test('a body without end is cut off, and other requests get short answers', async (t) => {
  const { add, get, url } = await createWorld(t)
  assert.equal((await add('x'.repeat(128 * 1024 + 1))).status, 413)
  assert.equal((await get('/add-checkpoint')).status, 405)
  for (const path of ['/', '/x/checkpoint', '/../state', `/${'0'.repeat(64)}/checkpoint`]) {
    assert.equal((await get(path)).status, 404, path)
  }
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.end('no HTTP at all\r\n\r\n')
  assert.match(await text(socket), /^HTTP\/1.1 400 /)
})

async function createWorld(t: TestContext) {
  const history = createHistory()
  const next = generateKeyPairSync('ed25519').privateKey // of the log, once it has changed its key
  const refusals: WitnessRefusal[] = []
  const witness = new Witness({
    name: 'witness.test/w',
    signingKey: generateKeyPairSync('ed25519').privateKey,
    logs: [history.verifierKey, verifierKeyOf(origin, next)],
    store: createMemoryStore(),
    now: () => now,
    onRefusal: (refusal) => refusals.push(refusal),
  })
  const onError = (error: unknown) => assert.fail(String(error))
  const server = await serveWitness(witness, { host: '127.0.0.1', port: 0, onError })
  t.after(() => server.close())
  const url = `http://127.0.0.1:${server.port}`
  const request = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(url + path, init)
    return { status: answer.status, body: await answer.text(), type: answer.headers.get('content-type') }
  }
  return {
    ...{ history, next, witness, refusals, url },
    add: (body: string) => request('/add-checkpoint', { method: 'POST', body }),
    get: (path: string) => request(path),
  }
}

async function statusAndBody(answer: Promise<{ readonly status: number; readonly body: string }>) {
  const { status, body } = await answer
  return [status, body]
}
