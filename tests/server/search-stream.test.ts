import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { AuditLog, encodeLines, LogSearch } from '#audit'
import { routes } from '#protocol'
import type { ConnectSearcher } from '../../audit/search/search-link.js'
import { ServerError } from '../../server/errors.js'
import type { AuditReader, AuditSearch } from '../../server/http/audit-search.js'
import { createForgetfulWorld, day } from '../audit/retention/world.js'
import { appendMany } from '../audit/world.js'
import { policyFor } from './policies.js'
import { run, temporaryFolder, up } from './running.js'
import { type Client, createWorld } from './world.js'

const pieceBytes = 64 * 1024
/** What the operating systems of both sides may hold for one connection, and then some: 32 MiB. */
const most = 512

test('a search that finds without end waits for its reader, others are answered meanwhile, and it ends when the reader goes', async (t) => {
  const found = { pieces: 0 }
  let end = (): void => undefined
  const ended = new Promise<void>((resolve) => (end = resolve))
  async function* searchAudit(
    _search: unknown,
    { leaving }: { readonly leaving: AbortSignal },
  ): AsyncGenerator<Uint8Array, void> {
    try {
      for (; !leaving.aborted; found.pieces++) yield Buffer.alloc(pieceBytes, '{}\n')
    } finally {
      end()
    }
  }
  const world = await createWorld(t, { searchAudit })
  const operator = await world.operator()
  const response = await search(world, operator)
  t.after(() => response.destroy())
  await once(response, 'readable')

  await untilStuck(found, async () => {
    assert.equal((await world.call('listDevices', operator)).status, 200)
    assert.ok(found.pieces < most, `${found.pieces} pieces for a reader that took none`)
  })
  const held = found.pieces
  for await (const _piece of response) if (found.pieces > held + 100) break
  assert.ok(found.pieces > held, 'it goes on as its reader does')
  response.destroy()
  await ended
  assert.equal((await world.call('listDevices', operator)).status, 200)
})

test('connections that ask for much and read nothing keep nobody from searching; who reads on is told the reason', async (t) => {
  const stuck: IncomingMessage[] = []
  t.after(() => stuck.forEach((response) => response.destroy()))
  const clock = { elapsed: 0 }
  const { connectSearcher, running } = createEndlessSearcher()
  const elapsed = () => clock.elapsed
  const log = new LogSearch({ directory: '/nowhere', durable: () => 0, elapsed, connectSearcher })
  const world = await createWorld(t, {
    searchAudit: ({ query }, { operator, leaving }) => log.lines(query, { operator, signal: leaving }),
  })
  const readers = policyFor(['audit.read']).replace('["bob"]', '["bob", "eve"]')
  await world.call('applyPolicy', await world.operator(), { body: readers, type: 'application/yaml' })
  const readNothing = async (client: Client) => {
    const response = await search(world, client)
    stuck.push(response)
    await once(response, 'readable')
    return response.statusCode
  }
  for (const [name, count] of [
    ['ada', 48],
    ['bob', 16],
  ] as const) {
    const client = await world.operator(name)
    for (let more = 0; more < count; more++) assert.equal(await readNothing(client), 200)
  }
  assert.equal(running.size, 64)

  const eve = await world.operator('eve')
  let status = await readNothing(eve)
  assert.equal(status, 503, 'nobody has been waited for yet')
  for (; status === 503; clock.elapsed += 10_000) status = await readNothing(eve)
  assert.equal(status, 200)
  assert.equal(running.size, 64)
  const evicted = stuck.find((response, id) => response.statusCode === 200 && !running.has(id))
  assert.ok(evicted)
  const lines = (await text(evicted)).trimEnd().split('\n')
  assert.match(lines.at(-1) ?? '', /^{"problem":{.*"code":"AUDIT_BUSY".*its place went to another/)
  assert.equal(lines.at(-2), '{}')
})

test('a service that stops ends searches first, whoever follows when the log has ended, and waits for nobody who does not read', async (t) => {
  const open: IncomingMessage[] = []
  t.after(() => open.forEach((response) => response.destroy()))
  const ends = { log: new AbortController(), searches: new AbortController() }
  const found = { pieces: 0 }
  async function* searchAudit({ query, follow }: AuditSearch, { leaving }: AuditReader): AsyncGenerator<string, void> {
    const end = follow ? ends.log.signal : ends.searches.signal
    const broken = AbortSignal.any([leaving, end])
    yield '{}\n'
    if (query.limit === 1) await once(broken, 'abort')
    for (; !broken.aborted; found.pieces++) yield '{}\n'.repeat(20_000)
    if (follow) yield 'the last record\n'
    else end.throwIfAborted()
  }
  const world = await createWorld(t, { searchAudit })
  const operator = await world.operator()
  const stuck = [await search(world, operator), await search(world, operator, '?follow=true')]
  open.push(...stuck)
  await untilStuck(found, async () => void (await world.call('listDevices', operator)))
  const searching = await search(world, operator, '?limit=1')
  const following = await search(world, operator, '?limit=1&follow=true')
  open.push(searching, following)
  const [searched, followed] = [lastLine(searching), lastLine(following)]
  const cut = stuck.map((response) => once(response, 'error'))

  ends.searches.abort(new ServerError('NOT_READY', 'the service stops'))
  await world.requests.settled()
  assert.match(await searched, /"code":"NOT_READY"/)
  await assert.rejects(world.call('listDevices', operator), { code: 'ECONNREFUSED' })
  ends.log.abort()
  await world.requests.ended()
  assert.equal(await followed, 'the last record')
  for (const response of stuck) response.resume()
  assert.deepEqual(
    (await Promise.all(cut)).map(([error]) => (error as NodeJS.ErrnoException).code),
    ['ECONNRESET', 'ECONNRESET'],
  )
})

test('who follows too slowly for retention is told in the last line what is gone', async (t) => {
  const forgetful = await createForgetfulWorld(t, [0, 0, 0])
  const log = await forgetful.reopen()
  async function* searchAudit({ query }: AuditSearch, { leaving }: AuditReader): AsyncGenerator<string, void> {
    for await (const line of encodeLines(log.follow(query, { signal: leaving }))) {
      yield line
      if (!line.startsWith('{"sequence":100,')) continue
      forgetful.clock.now = 100 * day
      await forgetful.look({ days: 1 })
    }
  }
  const world = await createWorld(t, { searchAudit })
  const { body } = await world.call('searchAudit', await world.operator(), { query: '?follow=true' })
  const lines = body.trimEnd().split('\n')
  assert.match(lines.at(-2) ?? '', /^{"sequence":255,/)
  assert.match(lines.at(-1) ?? '', /^{"problem":{.*"code":"AUDIT_GONE".*begins with record 768"/)
})

test('a command whose reader has seen enough ends in peace, and leaves no search behind', async (t) => {
  const folder = temporaryFolder(t)
  const first = await up(folder)
  await first.stop()
  await appendOffline(join(folder, 'data'), 20_000)
  await up(folder)
  for (let round = 0; round < 3; round++) {
    const command = ['audit', 'search', '--limit', '1000000', '-o', 'json', '--data', join(folder, 'data')]
    const child = spawn(process.execPath, [touchmark, ...command])
    const ended = once(child, 'close')
    const errors = text(child.stderr)
    await once(child.stdout, 'data')
    child.stdout.destroy()
    assert.deepEqual([(await ended)[0], await errors], [0, ''])
  }
  const { code, stdout } = await run(folder, ['audit', 'search', '--limit', '20000', '-o', 'json'])
  assert.deepEqual([code, stdout.trimEnd().split('\n').length], [0, 20_000])
})

const touchmark = fileURLToPath(new URL('../../bin/touchmark.js', import.meta.url))

/** What a while with many messages would have written. */
async function appendOffline(data: string, count: number): Promise<void> {
  const signingKey = createPrivateKey(readFileSync(join(data, 'keys', 'audit.key')))
  const origin = 'touchmark.local/audit'
  const log = await AuditLog.open({ directory: join(data, 'audit'), origin, signingKey, now: Date.now })
  await appendMany(log, count)
  await log.close()
}

/** Finds more than anybody can read; a search is running until it is stopped. */
function createEndlessSearcher() {
  const running = new Set<number>()
  const connectSearcher: ConnectSearcher = (_directory, { receive }) => ({
    send({ kind, id }) {
      if (kind === 'stop') running.delete(id)
      else
        setImmediate(() => receive({ kind: 'page', id, lines: new Uint8Array(Buffer.alloc(pieceBytes - 1, '{}\n')) }))
      if (kind === 'search') running.add(id)
    },
    close: async () => undefined,
  })
  return { connectSearcher, running }
}

/** Nothing more is taken, however often something else is done meanwhile. */
async function untilStuck(found: { readonly pieces: number }, meanwhile: () => Promise<void>): Promise<void> {
  for (let quiet = 0, before = -1; quiet < 20; quiet++) {
    await meanwhile()
    if (found.pieces !== before) quiet = 0
    before = found.pieces
  }
}

async function lastLine(response: IncomingMessage): Promise<string> {
  let last = ''
  for await (const line of createInterface({ input: response })) last = line
  return last
}

async function search(
  { port, ca }: { readonly port: number; readonly ca: string },
  { cert, key }: Client,
  query = '',
): Promise<IncomingMessage> {
  const sending = request({
    ...{ host: '127.0.0.1', servername: 'localhost', port, ca, cert, key, agent: false },
    path: `${routes.searchAudit.path}${query}`,
  })
  sending.end()
  const [response] = (await once(sending, 'response')) as [IncomingMessage]
  return response
}
