import assert from 'node:assert/strict'
import { cp, mkdtemp, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import test, { after, type TestContext } from 'node:test'
import { type AuditQuery, LogSearch } from '#audit'
import { parseDeviceId } from '#protocol'
import type { LogSearchOptions } from '../../audit/search/log-search.js'
import type { ConnectSearcher, SearchListener } from '../../audit/search/search-link.js'
import { SearchService } from '../../audit/search/search-service.js'
import { bundlePath } from '../../audit/tree/tiles.js'
import { published } from './world.js'
import { writeLog } from './written-log.js'

const size = 20_000
const log = await writeLog(
  Array.from({ length: size }, (_, time) => ({ event: published(time), time })),
  { uncovered: 100 },
)
after(log.remove)
const { directory } = log

test('a search in its own thread gives whole lines, newest first, and only what was durable when it began', async (t) => {
  const search = open(t, { durable: () => 19_950 })
  assert.deepEqual(await sequences(search, { limit: 3 }), [19_950, 19_949, 19_948])
  assert.deepEqual(await sequences(search, { order: 'oldest', after: 19_947 }), [19_948, 19_949, 19_950])
  assert.deepEqual(await sequences(search, { device: parseDeviceId('nobody') }), [])
  assert.equal((await sequences(search, {})).length, 19_951)
})

test('however much is found, no more than two pages wait for one who does not take them', async (t) => {
  const posted: string[] = []
  const service = new SearchService(directory, (message) => posted.push(message.kind))
  t.after(() => service.close())
  const settled = async () => {
    for (let before = -1; before !== posted.length;) {
      before = posted.length
      for (let turns = 0; turns < 1000; turns++) await setImmediate()
    }
  }
  service.handle({ kind: 'search', id: 1, query: {}, last: size - 1 })
  while (posted.length < 2) await setImmediate()
  await settled()
  assert.deepEqual(posted, ['page', 'page'])
  service.handle({ kind: 'more', id: 1 })
  while (posted.length < 3) await setImmediate()
  await settled()
  assert.deepEqual(posted, ['page', 'page', 'page'])
  service.handle({ kind: 'stop', id: 1 })
  while (posted.length < 4) await setImmediate()
  assert.deepEqual(posted.slice(3), ['end'])
})

test('one who leaves midway ends the search, who is made to is told why, and others go on', async (t) => {
  const search = open(t)
  for await (const _lines of search.lines({}, ada)) break
  const leaving = new AbortController()
  const reason = new Error('the service stops')
  await assert.rejects(async () => {
    for await (const _lines of search.lines({}, { ...ada, signal: leaving.signal })) leaving.abort(reason)
  }, reason)
  await assert.rejects(search.lines({}, { ...ada, signal: leaving.signal }).next(), reason)
  assert.equal((await sequences(search, {})).length, size)
})

test('more searches at once than there may be, or than one may have, are refused, and a place that is left is free', async (t) => {
  const search = open(t)
  const first = await begin(search, 'ada')
  for (let more = 1; more < 48; more++) await begin(search, 'ada')
  await assert.rejects(begin(search, 'ada'), { code: 'AUDIT_BUSY', message: /^48 searches of ada run/ })
  for (let more = 0; more < 16; more++) await begin(search, 'bob')
  await assert.rejects(begin(search, 'eve'), { code: 'AUDIT_BUSY', message: /^64 searches of the log run/ })
  await first.return()
  await begin(search, 'eve')
})

test('who reads nothing keeps the place until another needs it, and is told so then; who reads keeps it', async (t) => {
  const clock = { elapsed: 0 }
  const search = open(t, { elapsed: () => clock.elapsed })
  const [slow, quick, ...others] = await Promise.all(Array.from({ length: 48 }, () => begin(search, 'ada')))
  assert.ok(slow && quick)
  await slow.next()
  clock.elapsed = 9_000
  await Promise.all([quick, ...others].map((one) => one.next()))
  await assert.rejects(begin(search, 'ada'), { code: 'AUDIT_BUSY' })
  clock.elapsed = 10_000
  await begin(search, 'ada')
  await assert.rejects(begin(search, 'ada'), { code: 'AUDIT_BUSY' })
  await assert.rejects(slow.next(), { code: 'AUDIT_BUSY', message: /was read for 10 s.*its place went to another$/ })
  assert.equal((await quick.next()).done, false)
})

test('what was found before the damage comes before the word of it, and somebody is warned', async (t) => {
  const own = await mkdtemp(join(tmpdir(), 'touchmark-search-'))
  t.after(() => rm(own, { recursive: true, force: true }))
  await cp(directory, own, { recursive: true })
  await truncate(join(own, 'log', bundlePath(70)), 1000)
  const warnings: string[] = []
  const search = open(t, { directory: own, warn: (sentence) => warnings.push(sentence) })
  let found = ''
  const reading = async () => {
    for await (const lines of search.lines({ limit: 10_000 }, ada)) found += Buffer.from(lines).toString()
  }
  await assert.rejects(reading(), { code: 'AUDIT_CORRUPT', message: /record 17920: tile\/entries\/070/ })
  assert.match(found, /{"sequence":18177,[^\n]*\n{"sequence":18176,[^\n]*\n$/)
  assert.match(
    warnings.join(),
    /^a search has found the audit log damaged: cannot read record 17920: tile\/entries\/070/,
  )
})

test('when the thread dies its searches fail, and the next one starts another', async (t) => {
  const listeners: SearchListener[] = []
  const connectSearcher: ConnectSearcher = (directory, listener) => {
    listeners.push(listener)
    const service = new SearchService(directory, listener.receive)
    t.after(() => service.close())
    return { send: (message) => service.handle(message), close: async () => service.close() }
  }
  const search = open(t, { connectSearcher })
  const lines = search.lines({}, ada)
  await lines.next()
  listeners[0]?.end(new Error('out of memory'))
  const rest = async () => {
    for await (const _more of lines);
  }
  await assert.rejects(rest(), { code: 'AUDIT_FAILED', message: /out of memory/ })
  assert.equal((await sequences(search, { limit: 1 })).length, 1)
  assert.equal(listeners.length, 2)
})

test('a search of a closed log is refused', async (t) => {
  const search = open(t)
  await search.close()
  await assert.rejects(sequences(search, {}), { code: 'AUDIT_CLOSED' })
})

const ada = { operator: 'ada' }

/** A search that nobody reads. */
async function begin(search: LogSearch, operator: string) {
  const lines = search.lines({}, { operator })
  await lines.next()
  return lines
}

function open(t: TestContext, options: Partial<LogSearchOptions> = {}): LogSearch {
  const search = new LogSearch({ directory, durable: () => size - 1, elapsed: () => 0, ...options })
  t.after(() => search.close())
  return search
}

async function sequences(search: LogSearch, query: AuditQuery): Promise<readonly number[]> {
  const found: number[] = []
  for await (const lines of search.lines(query, ada)) {
    const text = Buffer.from(lines).toString()
    assert.ok(text.endsWith('\n'))
    for (const line of text.trimEnd().split('\n')) found.push((JSON.parse(line) as { sequence: number }).sequence)
  }
  return found
}
