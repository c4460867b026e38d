import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createMemoryStore } from '#store'
import { parseCheckpoint, verifierKeyOf, verifyCheckpoint } from '../../../audit/tree/checkpoint.js'
import { parseNote } from '../../../audit/tree/note.js'
import { cosign, parseWitnessKey, verifyCosignature, witnessKeyOf } from '../../../audit/witness/cosignature.js'
import { OutsideCheckpoints, type OutsidePlace } from '../../../audit/witness/outside.js'
import { within } from '../../../audit/witness/patience.js'
import { createPublished, type PublishSettings } from '../../../audit/witness/publish.js'
import { serveWitness } from '../../../audit/witness/serve.js'
import { verifyWitnessed } from '../../../audit/witness/verify-witnessed.js'
import { WitnessClient } from '../../../audit/witness/witness-client.js'
import { Witness } from '../../../audit/witness/witness.js'
import { createDisk } from '../../../audit/writing/disk.js'
import { LogWriter } from '../../../audit/writing/writer.js'
import { createWriter, origin, writeMany } from '../world.js'
import { createHistory } from './history.js'

const now = 1_790_000_000_000

test('a witness gets each checkpoint with its proof, and what it cosigns is kept with the log', async (t) => {
  const { log, outside, startWitness } = await createWorld(t)
  const witness = await startWitness()
  const places = await outside([witness.client()])
  for (const count of [5, 300, 1]) {
    log.append(count)
    await log.checkpoint()
    await places.round()
  }
  const note = await log.witnessed(witness.key)
  assert.equal(verifyCheckpoint(note, log.verifierKey).size, 306)
  const { text: said, signatures } = parseNote(note)
  assert.equal(verifyCosignature(said, signatures, parseWitnessKey(witness.key)), now)
  assert.deepEqual(places.status().newest?.size, 306)
  assert.deepEqual(places.status().places[0]?.problem, undefined)
})

test('it goes on where the witness stands, after a restart and after it had forgotten', async (t) => {
  const { log, outside, startWitness } = await createWorld(t)
  const witness = await startWitness()
  log.append(20)
  await log.checkpoint()
  await (await outside([witness.client()])).round()
  await rm(join(log.directory, 'log/witnessed'), { recursive: true })
  log.append(20)
  await log.checkpoint()
  const again = await outside([witness.client()])
  await again.round()
  assert.equal(again.status().newest?.size, 40)
  const third = await outside([witness.client()])
  assert.equal(third.status().newest?.size, 40)
})

test('who has the key of a witness sees what it vouches for, and that the log begins with it', async (t) => {
  const { log, outside, startWitness } = await createWorld(t)
  const [witness, silent] = [await startWitness('w'), await startWitness('silent')]
  log.append(20)
  await log.checkpoint()
  await (await outside([witness.client()])).round()
  log.append(300)
  await log.checkpoint()
  const [attested, nothing] = await verifyWitnessed(log.directory, [witness.key, silent.key])
  assert.deepEqual(attested, { name: 'witness.test/w', cosigned: { size: 20, at: now } })
  assert.match(nothing?.problem ?? '', /nothing/)

  const name = parseWitnessKey(witness.key).keyId.toString('hex')
  const kept = join(log.directory, 'log/witnessed', name)
  const note = await readFile(kept, 'utf8')
  await writeFile(kept, note.replace('\n20\n', '\n21\n'))
  assert.match((await verifyWitnessed(log.directory, [witness.key]))[0]?.problem ?? '', /does not match/)
  await assert.rejects(verifyWitnessed(log.directory, [log.verifierKey]), { code: 'AUDIT_INVALID' })
})

test('of two witnesses one is down: the other cosigns, and the status names the one', async (t) => {
  const { log, outside, startWitness, warnings, recorded } = await createWorld(t)
  const [up, down] = [await startWitness('up'), await startWitness('down')]
  await down.stop()
  log.append(9)
  await log.checkpoint()
  const places = await outside([up.client(), down.client()])
  await places.round()
  await places.round()
  const [first, second] = places.status().places
  assert.deepEqual([first?.given?.size, first?.problem], [9, undefined])
  assert.equal(second?.given, undefined)
  assert.match(second?.problem ?? '', /ECONNREFUSED/)
  assert.equal(warnings.length, 1)
  assert.deepEqual(recorded, [])
})

test('an older copy of the log is known by what the witness shows', async (t) => {
  const { log, outside, startWitness, recorded, warnings } = await createWorld(t)
  const witness = await startWitness()
  log.append(20)
  await log.checkpoint()
  await (await outside([witness.client()])).round()
  const older = await log.copy()
  log.append(20)
  await log.checkpoint()
  await (await outside([witness.client()])).round()
  const client = () => new WitnessClient(witness.settings, { ...log.identity, directory: older })
  await assert.rejects((await outside([client()])).requireContained(), { code: 'AUDIT_ROLLED_BACK' })
  const running = await outside([client()], await readFile(join(older, 'log/checkpoint'), 'utf8'))
  await running.round()
  await running.round()
  assert.deepEqual(
    recorded.map(({ event, reason, treeSize }) => [event, reason, treeSize]),
    [['witness.refuse', 'rolled_back', 20]],
  )
  assert.match(warnings.at(-1) ?? '', /AUDIT_ROLLED_BACK/)
})

test('a log that went another way is refused by the witness, on record', async (t) => {
  const { log, outside, startWitness, recorded } = await createWorld(t)
  const witness = await startWitness()
  log.append(20)
  await log.checkpoint()
  const fork = await log.copy()
  log.append(20)
  await log.checkpoint()
  await (await outside([witness.client()])).round()
  const forked = await log.goOn(fork, 50)
  const client = new WitnessClient(witness.settings, { ...log.identity, directory: fork })
  const places = await outside([client], forked)
  await assert.rejects(places.requireContained(), { code: 'AUDIT_ROLLED_BACK' })
  await places.round()
  assert.deepEqual(
    recorded.map(({ reason }) => reason),
    ['rolled_back'],
  )
})

test('a log does not open when it does not contain what is kept of its witnesses', async (t) => {
  const { log, outside, startWitness } = await createWorld(t)
  const witness = await startWitness()
  log.append(20)
  await log.checkpoint()
  const older = await log.copy()
  log.append(20)
  await log.checkpoint()
  await (await outside([witness.client()])).round()
  await log.reopen(log.directory)
  await cp(join(log.directory, 'log/witnessed'), join(older, 'log/witnessed'), { recursive: true })
  const before = await readFile(join(older, 'log/checkpoint'), 'utf8')
  await assert.rejects(log.reopen(older), { code: 'AUDIT_ROLLED_BACK' })
  assert.equal(await readFile(join(older, 'log/checkpoint'), 'utf8'), before)
  const [name = ''] = [parseWitnessKey(witness.key).keyId.toString('hex')]
  await writeFile(join(log.directory, 'log/witnessed', name), 'no checkpoint')
  await assert.rejects(log.reopen(log.directory), { code: 'AUDIT_CORRUPT' })
})

const wrong = { name: 'witness.test/w', key: generateKeyPairSync('ed25519').privateKey }
const right = { name: 'witness.test/w', key: generateKeyPairSync('ed25519').privateKey }

hostile('cosigns with another key', (checkpoint) => [200, cosign(checkpoint, wrong.name, wrong.key, now)])
hostile('cosigns under another name', (checkpoint) => [200, cosign(checkpoint, 'witness.test/v', right.key, now)])
hostile('cosigns another checkpoint', (checkpoint) => [
  200,
  cosign(checkpoint.replace('\n9\n', '\n8\n'), right.name, right.key, now),
])
hostile('says another time than it has signed', (checkpoint) => [
  200,
  withTime(cosign(checkpoint, right.name, right.key, now), now + 1000),
])
hostile('says a time long ago', (checkpoint) => [200, cosign(checkpoint, right.name, right.key, now - 86_400_000)])
hostile('says a time to come', (checkpoint) => [200, cosign(checkpoint, right.name, right.key, now + 86_400_000)])
hostile('says no time', (checkpoint) => [200, withTime(cosign(checkpoint, right.name, right.key, now), 0)])
hostile('answers with a cut line', (checkpoint) => [200, cosign(checkpoint, right.name, right.key, now).slice(0, -2)])
hostile('answers with nothing', () => [200, ''])
hostile('answers with the checkpoint in front', (checkpoint) => [
  200,
  checkpoint + cosign(checkpoint, right.name, right.key, now),
])
hostile('answers without end', () => [200, 'x'.repeat(1_000_000)])
hostile('sends it elsewhere', () => [302, '', { location: 'http://127.0.0.1:1/' }])
hostile('says another size each time', (_, asked) => [409, `${asked % 9}\n`])
hostile('says no size', () => [409, 'x'.repeat(50)])
hostile('says a size of more than there is, and shows nothing', () => [409, '1000000\n'], 'refused')
hostile('does not know the log', () => [404, ''], 'refused')
hostile('has another key of the log', () => [403, ''], 'refused')
hostile('does not believe it, and shows nothing', () => [422, ''], 'refused')
hostile('is broken', () => [500, 'x'])

test('a witness that never answers is given up, also when the service ends', async (t) => {
  const { log, outside } = await createWorld(t)
  let heard: () => void = () => undefined
  const asked = new Promise<void>((resolve) => (heard = resolve))
  const url = await serve(t, () => heard())
  log.append(9)
  await log.checkpoint()
  const client = new WitnessClient({ url, vkey: witnessKeyOf(right.name, right.key) }, log.identity)
  const places = await outside([client])
  const round = places.round()
  await asked
  places.start(3_600_000)
  const ended = places.end()
  await round
  await ended
  assert.equal(places.status().places[0]?.given, undefined)
  assert.match(places.status().places[0]?.problem ?? '', /no answer in time/)
})

test('checkpoints are published to a file that is whole at any time, with what witnesses have signed', async (t) => {
  const { log, outside, startWitness, folder } = await createWorld(t)
  const witness = await startWitness()
  const [file, history] = [join(folder, 'checkpoint'), join(folder, 'history.jsonl')]
  const places = await outside([log.published({ file, history }), witness.client()])
  for (const count of [5, 4]) {
    log.append(count)
    await log.checkpoint()
    await places.round()
    await places.round()
  }
  const note = await readFile(file, 'utf8')
  assert.equal(verifyCheckpoint(note, log.verifierKey).size, 9)
  const { text: said, signatures } = parseNote(note)
  assert.equal(verifyCosignature(said, signatures, parseWitnessKey(witness.key)), now)
  const lines = (await readFile(history, 'utf8')).trimEnd().split('\n')
  const sizes = lines.map((line) => parseCheckpoint((JSON.parse(line) as { checkpoint: string }).checkpoint).size)
  assert.deepEqual(sizes, [5, 9])
})

test('a published file shows at start that the log was put back', async (t) => {
  const { log, outside, folder } = await createWorld(t)
  const file = join(folder, 'checkpoint')
  log.append(5)
  await log.checkpoint()
  const older = await log.copy()
  log.append(5)
  await log.checkpoint()
  const places = await outside([log.published({ file })])
  await places.requireContained()
  await places.round()
  await places.requireContained()
  const published = createPublished({ file }, { ...log.identity, directory: older })
  await assert.rejects((await outside([published])).requireContained(), { code: 'AUDIT_ROLLED_BACK' })
})

test('a log that was put back to before its key changed is known by a checkpoint that the new key has signed', async (t) => {
  const { log, outside, folder, startWitness } = await createWorld(t)
  const file = join(folder, 'checkpoint')
  const witness = await startWitness()
  log.append(5)
  await log.checkpoint()
  const places = await outside([log.published({ file }), witness.client()])
  await places.round()
  const putBack = { ...log.identity, verifierKeys: [verifierKeyOf(origin, generateKeyPairSync('ed25519').privateKey)] }
  for (const place of [createPublished({ file }, putBack), new WitnessClient(witness.settings, putBack)]) {
    await assert.rejects((await outside([place])).requireContained(), { code: 'AUDIT_ROLLED_BACK' })
  }
})

test('what no witness has cosigned and this log has not signed stops nobody', async (t) => {
  const { log, outside } = await createWorld(t)
  const foreign = createHistory(5).checkpoint(5)
  const url = await serve(t, (_, response) => response.end(foreign))
  const client = new WitnessClient({ url, vkey: witnessKeyOf(right.name, right.key) }, log.identity)
  const places = await outside([client])
  await places.requireContained()
  assert.match(places.status().places[0]?.problem ?? '', /has not signed/)
})

for (const [what, make] of [
  ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
  ['the endless one of a device', (path: string) => execFileSync('ln', ['-s', '/dev/zero', path])],
  ['far too large', (path: string) => truncate(path, 1e10)],
] as const) {
  test(`a published file that is ${what} keeps nobody waiting`, async (t) => {
    const { log, outside, folder } = await createWorld(t)
    const file = join(folder, 'checkpoint')
    if (what === 'far too large') await writeFile(file, '')
    await make(file)
    const places = await outside([log.published({ file })])
    await places.requireContained()
    assert.match(places.status().places[0]?.problem ?? '', /not a plain file|is no checkpoint/)
  })
}

test('the time limit of a place holds when memory is collected while it is waited for', async () => {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  assert.ok(typeof collect === 'function')
  const waiting = within(50, new AbortController().signal, async (signal) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  })
  await new Promise(setImmediate)
  collect()
  await waiting
})

test('a folder that is not there is not made: it may be a disk that is not mounted', async (t) => {
  const { log, outside, folder, warnings } = await createWorld(t)
  log.append(5)
  await log.checkpoint()
  const places = await outside([log.published({ file: join(folder, 'mount', 'checkpoint') })])
  await places.requireContained()
  await places.round()
  assert.match(places.status().places[0]?.problem ?? '', /ENOENT/)
  assert.equal(warnings.length, 1)
})

test('checkpoints are published to an address, and nothing secret of it is said', async (t) => {
  const { log, outside, warnings } = await createWorld(t)
  const seen: { method: string | undefined; authorization: string | undefined; body: string }[] = []
  const url = await serve(t, (request, response) => {
    void text(request).then((body) => {
      seen.push({ method: request.method, authorization: request.headers.authorization, body })
      response.writeHead(seen.length === 1 ? 204 : 403).end()
    })
  })
  url.username = 'log'
  url.password = 'tell-nobody'
  url.pathname = '/latest'
  url.search = '?token=hush'
  const places = await outside([log.published({ url, method: 'POST' })])
  for (const count of [5, 5]) {
    log.append(count)
    await log.checkpoint()
    await places.round()
  }
  assert.deepEqual(
    seen.map(({ method }) => method),
    ['POST', 'POST'],
  )
  assert.equal(seen[0]?.authorization, `Basic ${Buffer.from('log:tell-nobody').toString('base64')}`)
  assert.equal(verifyCheckpoint(seen[0]?.body ?? '', log.verifierKey).size, 5)
  assert.match(places.status().places[0]?.problem ?? '', /403/)
  assert.doesNotMatch(JSON.stringify([places.status(), warnings]), /hush|tell-nobody/)
})

test('who fails again and again is asked less often, and at once when it goes well', async (t) => {
  const { log, outside } = await createWorld(t)
  let asked = 0
  let fails = true
  const place: OutsidePlace = {
    ...{ kind: 'published', name: 'p', given: async () => undefined, requireContained: async () => undefined },
    give: async () => {
      asked++
      if (fails) throw new Error('not now')
      return { size: 1, at: now }
    },
  }
  const places = await outside([place])
  for (let round = 0; round < 40; round++) await places.round()
  assert.ok(asked > 3 && asked < 10, `${asked}`)
  fails = false
  for (let round = 0; round < 16; round++) await places.round()
  assert.equal(places.status().places[0]?.problem, undefined)
  log.append(1)
  await log.checkpoint()
  const before = asked
  await places.round()
  assert.equal(asked, before + 1)
})

type Reply = (
  checkpoint: string,
  asked: number,
) => readonly [status: number, body: string, headers?: Record<string, string>]

function hostile(does: string, reply: Reply, reason?: 'refused'): void {
  test(`a witness that ${does} is named in the status, and nothing of it is kept`, async (t) => {
    const { log, outside, recorded, warnings } = await createWorld(t)
    let asked = 0
    const url = await serve(t, (request, response) => {
      void text(request).then((body) => {
        if (request.method === 'GET') return response.writeHead(404).end()
        const [status, said, headers] = reply(body.slice(body.indexOf('\n\n') + 2), ++asked)
        return response.writeHead(status, headers).end(said)
      })
    })
    log.append(9)
    await log.checkpoint()
    const client = new WitnessClient({ url, vkey: witnessKeyOf(right.name, right.key) }, log.identity)
    const places = await outside([client])
    await places.round()
    await places.round()
    assert.notEqual(places.status().places[0]?.problem, undefined)
    assert.equal(places.status().newest, undefined)
    assert.ok(asked <= 6)
    assert.deepEqual(
      recorded.map((event) => event.reason),
      reason ? [reason] : [],
    )
    assert.equal(warnings.length, 1)
    await assert.rejects(log.witnessed(witnessKeyOf(right.name, right.key)), { code: 'ENOENT' })
  })
}

/** The cosignature with another time in front of the same signature. */
function withTime(line: string, milliseconds: number): string {
  const [dash = '', name = '', base64 = ''] = line.trimEnd().split(' ')
  const bytes = Buffer.from(base64, 'base64')
  bytes.writeBigUInt64BE(BigInt(milliseconds / 1000), 4)
  return `${dash} ${name} ${bytes.toString('base64')}\n`
}

async function createWorld(t: TestContext) {
  const { directory, signingKey, writer, append } = await createWriter(t)
  const verifierKey = verifierKeyOf(origin, signingKey)
  const identity = { directory, origin, verifierKeys: [verifierKey], now: () => now }
  const warnings: string[] = []
  const recorded: { event: string; reason: string; treeSize?: number }[] = []
  let newest = ''
  let copies = 0
  const folder = join(directory, 'elsewhere')
  await mkdir(folder)
  const log = {
    ...{ directory, verifierKey, identity, append },
    checkpoint: async () => (newest = await writer.checkpoint()),
    witnessed: (key: string) =>
      readFile(join(directory, 'log/witnessed', parseWitnessKey(key).keyId.toString('hex')), 'utf8'),
    published: (settings: PublishSettings) => createPublished(settings, identity),
    copy: async () => {
      const to = join(folder, `copy-${++copies}`)
      for (const part of ['log', 'wal']) await cp(join(directory, part), join(to, part), { recursive: true })
      return to
    },
    reopen: async (at: string) => {
      const { writer: again } = await LogWriter.open({ directory: at, origin, signingKey }, createDisk())
      await again.close()
    },
    /** Goes on with other records than this log; the new checkpoint. */
    goOn: async (at: string, count: number) => {
      const { writer: other, opened } = await LogWriter.open({ directory: at, origin, signingKey }, createDisk())
      writeMany(other, opened.size, count, { topic: 'another' })
      const checkpoint = await other.checkpoint()
      await other.close()
      return checkpoint
    },
  }
  return {
    ...{ log, warnings, recorded, folder },
    outside: (places: readonly OutsidePlace[], checkpoint?: string) =>
      OutsideCheckpoints.open({
        checkpoint: () => checkpoint ?? newest,
        places,
        record: (event) => recorded.push(event),
        warn: (sentence) => warnings.push(sentence),
      }),
    startWitness: async (name = 'w') => {
      const { privateKey } = generateKeyPairSync('ed25519')
      const options = { name: `witness.test/${name}`, signingKey: privateKey, logs: [verifierKey], now: () => now }
      const witness = new Witness({ ...options, store: createMemoryStore() })
      const onError = (error: unknown) => assert.fail(String(error))
      const server = await serveWitness(witness, { host: '127.0.0.1', port: 0, onError })
      t.after(() => server.close())
      const settings = { url: new URL(`http://127.0.0.1:${server.port}`), vkey: witness.verifierKey }
      const client = () => new WitnessClient(settings, identity)
      return { key: witness.verifierKey, settings, client, stop: () => server.close() }
    },
  }
}

async function serve(t: TestContext, listener: RequestListener): Promise<URL> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close().closeAllConnections())
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
}
