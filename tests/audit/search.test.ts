import assert from 'node:assert/strict'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import test, { after, type TestContext } from 'node:test'
import { type AuditQuery, matcherOf } from '#audit'
import {
  type AuditEvent,
  type AuditRecord,
  type DeviceId,
  parseDeviceId,
  parseOperatorName,
  parseTopicFilter,
} from '#protocol'
import { encodeMinimum } from '../../audit/retention/minimum.js'
import { find } from '../../audit/search/find.js'
import { SearchIndex } from '../../audit/search/search-index.js'
import { bundlePath } from '../../audit/tree/tiles.js'
import { seeded } from '../seeded.js'
import { published } from './world.js'
import { writeLog } from './written-log.js'

const recordsPerChunk = 65_536
const below = seeded(11)

/** Of one record only. */
const once = 'c0ffee'.padEnd(20, '0')

/** Two chunks, 100 complete bundles of a third, and what lies above the last bundle and the checkpoint. */
const log = await writeLog(events(2 * recordsPerChunk + 100 * 256 + 77), { uncovered: 300 })
after(log.remove)

test('with an index a search finds what reading the whole log would, in either order and from any place', async (t) => {
  const { search } = await open(t)
  for (let round = 0; round < 30; round++) {
    const query = someQuery()
    assert.deepEqual(await search(query), expected(query), JSON.stringify(query))
  }
})

test('without an index, and while it is being made, a search finds the same', async (t) => {
  const world = await open(t, { caughtUp: false })
  const query: AuditQuery = { device: deviceOf(39), decision: 'deny', topicFilter: parseTopicFilter('a/#') }
  const catchingUp = world.index.catchUp()
  assert.deepEqual(await world.search(query), expected(query))
  await catchingUp
  assert.deepEqual(await world.search(query), expected(query))
})

test('an index of what is rare leaves nearly all of the log unread', async (t) => {
  const { index, directory } = await open(t)
  let pieces = 0
  const query: AuditQuery = { session: once }
  for await (const _piece of find({ directory, index, query, last: log.records.length - 1 })) pieces++
  assert.ok(pieces < 15, `${pieces} pieces of 612`)
})

test('a damaged, cut, empty, foreign or older index hides nothing, and is made anew', async (t) => {
  const { directory, files } = await open(t)
  const query: AuditQuery = { device: deviceOf(38), event: 'message.publish' }
  const sound = files.map((file) => readFileSync(file))
  const [file = '', other = ''] = files
  const damages: Record<string, () => void> = {
    cut: () => truncateSync(file, (sound[0]?.length ?? 0) - 100),
    'cut in its head': () => truncateSync(file, 1000),
    empty: () => writeFileSync(file, ''),
    'of another chunk': () => writeFileSync(file, sound[1] ?? ''),
    'of an older form': () =>
      writeFileSync(file, Buffer.concat([Buffer.from('TMINDEX0'), sound[0]?.subarray(8) ?? Buffer.alloc(0)])),
    gone: () => rmSync(other),
    'left by a crash': () => writeFileSync(`${file}.tmp`, 'half of'),
  }
  for (let at = 0; at < (sound[0]?.length ?? 0); at += 5003) {
    damages[`flipped at byte ${at}`] = () => {
      const bytes = Buffer.from(sound[0] ?? '')
      bytes[at] = (bytes[at] ?? 0) ^ 0x10
      writeFileSync(file, bytes)
    }
  }
  for (const [name, damage] of Object.entries(damages)) {
    damage()
    const world = reopened(directory)
    await world.index.open()
    assert.deepEqual(await world.search(query), expected(query), name)
    files.forEach((file, at) => writeFileSync(file, sound[at] ?? ''))
  }
  writeFileSync(file, 'damaged')
  await reopened(directory).index.catchUp()
  assert.deepEqual(
    files.map((file) => readFileSync(file)),
    sound,
  )
})

test('an index that is damaged while it is in use is found out at the next look, and made anew', async (t) => {
  const { directory, index, search, files } = await open(t)
  const query: AuditQuery = { device: deviceOf(37) }
  for (const file of files) writeFileSync(file, 'damaged')
  assert.deepEqual(await search(query), expected(query))
  await index.catchUp()
  assert.deepEqual(await search(query), expected(query))
  assert.equal(readdirSync(join(directory, 'idx')).length, 2)
  assert.ok(files.every((file) => readFileSync(file).length > 1000))
})

test('an index made for another log is not believed, neither at the start nor when it comes while the log is searched', async (t) => {
  const foreign = await writeLog(foreignEvents(recordsPerChunk + 256))
  t.after(foreign.remove)
  await new SearchIndex(foreign.directory).catchUp()
  const query: AuditQuery = { device: deviceOf(3), limit: 50, order: 'oldest' }
  for (const caughtUp of [false, true]) {
    const { directory, index, search, files } = await open(t, { caughtUp })
    const sound = caughtUp ? files.slice(0, 1).map((file) => readFileSync(file)) : []
    await cp(join(foreign.directory, 'idx'), join(directory, 'idx'), { recursive: true })
    await index.open()
    assert.deepEqual(await search(query), expected(query))
    await index.catchUp()
    assert.deepEqual(await search(query), expected(query))
    for (const bytes of sound) assert.deepEqual(readFileSync(files[0] ?? ''), bytes, 'it was made anew')
  }
})

test('where no index can be written searching goes on, and so does the log', async (t) => {
  const { directory } = await open(t, { caughtUp: false })
  writeFileSync(join(directory, 'idx'), 'in the way')
  const { index, search } = reopened(directory)
  await index.catchUp()
  const query: AuditQuery = { device: deviceOf(39), decision: 'deny' }
  assert.deepEqual(await search(query), expected(query))
})

test('a log whose first bundles are not kept is searched from where it begins, also where a crash has left some of them', async (t) => {
  const { directory, search, files } = await open(t, { ownLog: true })
  const query: AuditQuery = { device: deviceOf(39) }
  for (const [kept, removed] of [
    [3, 3],
    [300, 290],
  ] as const) {
    writeFileSync(join(directory, 'log', 'minimum'), encodeMinimum({ index: kept * 256, record: kept * 256 }))
    for (let index = 0; index < removed; index++) rmSync(join(directory, 'log', bundlePath(index)), { force: true })
    const left = (sequences: readonly number[]) => sequences.filter((sequence) => sequence >= kept * 256)
    const fresh = reopened(directory)
    await fresh.index.catchUp()
    for (const find of [search, fresh.search]) {
      assert.deepEqual(await find(query), left(expected(query)), `${kept}`)
      assert.deepEqual(await find({ ...query, order: 'oldest' }), left(expected({ ...query, order: 'oldest' })))
    }
  }
  assert.deepEqual(files.map(existsSync), [false, true], 'the index of what is gone is gone')
})

test('what retention takes away before a search gets there is no silent hole, with an index, an older one, and none', async (t) => {
  const kept = 300
  const query: AuditQuery = { device: deviceOf(20) }
  for (const kind of ['index', 'made anew', 'none'] as const) {
    const { directory, index } = await open(t, { ownLog: true, caughtUp: kind !== 'none' })
    const oldest = steps(directory, index, { ...query, order: 'oldest' })
    const newest = steps(directory, index, query)
    const [early, late] = [await oldest.some(), await newest.some()]
    forget(directory, kept)
    if (kind === 'made anew') {
      writeFileSync(join(directory, 'idx', '00000001.idx'), 'damaged')
      index.candidates(1, { terms: [], since: 0, until: 1e15 })
      await index.catchUp()
    }
    await assert.rejects(oldest.rest(early), { code: 'AUDIT_GONE', message: /the log begins with record 76800$/ }, kind)
    assert.deepEqual(early, expected({ ...query, order: 'oldest' }).slice(0, early.length), kind)
    await newest.rest(late)
    assert.deepEqual(
      late.filter((sequence) => sequence >= kept * 256),
      expected(query).filter((sequence) => sequence >= kept * 256),
      kind,
    )
    assert.deepEqual(late, expected(query).slice(0, late.length), kind)
    const { search } = reopened(directory)
    await assert.rejects(search({ ...query, order: 'oldest', after: early.at(-1) ?? 0 }), { code: 'AUDIT_GONE' }, kind)
    await search({ ...query, order: 'oldest', after: kept * 256 - 1 })
  }
})

test('bundles that nobody has let go are missed, be they the first', async (t) => {
  const { directory, search } = await open(t, { ownLog: true })
  rmSync(join(directory, 'log', bundlePath(0)))
  await assert.rejects(search({ order: 'oldest' }), { code: 'AUDIT_CORRUPT', sequence: 0 })
})

test('a bundle that is missing or damaged in the midst is named where a search comes by', async (t) => {
  const { directory, search } = await open(t, { ownLog: true })
  const path = join(directory, 'log', bundlePath(100))
  const bundle = readFileSync(path)
  rmSync(path)
  writeFileSync(path, bundle.subarray(0, 1000))
  await assert.rejects(search({ event: 'message.publish' }), { code: 'AUDIT_CORRUPT', message: /100 is damaged/ })
  rmSync(path)
  await assert.rejects(search({ event: 'message.publish' }), { code: 'AUDIT_CORRUPT', message: /100 is missing/ })
  assert.ok(existsSync(join(directory, 'log', bundlePath(99))))
})

/** Devices speak unevenly; the clock is set back from time to time, far behind what was. */
function* events(count: number): Iterable<{ event: AuditEvent; time: number }> {
  let time = 1_700_000_000_000
  const topics = ['a', 'a/b', 'a/b/c', 'x/b/c', 'a//c', '$SYS/b', 'ä/ß', `${'deep/'.repeat(20)}end`, 'z'.repeat(1020)]
  for (let sequence = 0; sequence < count; sequence++) {
    time += below(20) - (below(5000) === 0 ? 300_000 : 0)
    const device = deviceOf(Math.min(below(40), below(40), below(40), below(40)))
    const session = sequence === 20_000 ? once : sessionOf(below(300))
    const topic = below(3) === 0 ? `devices/${device}/state` : (topics[below(topics.length)] ?? '')
    const message = published(sequence, { device, session, topic, rules: [`r/${below(3)}`, 'r/all'] })
    const kind = below(5000)
    if (kind === 0) yield { event: revoked(device), time }
    else if (kind < 50)
      yield { event: { event: 'session.end', device, session, sessionIndex: 1, reason: 'lost' }, time }
    else if (kind < 100) yield { event: { ...message, topic: 'long/'.repeat(400), decision: 'deny', rules: [] }, time }
    else if (kind < 200) yield { event: { ...message, decision: 'deny', reason: 'no_rule', rules: [] }, time }
    else yield { event: message, time }
  }
}

function* foreignEvents(count: number): Iterable<{ event: AuditEvent; time: number }> {
  for (let sequence = 0; sequence < count; sequence++) yield { event: published(sequence), time: 0 }
}

function revoked(device: DeviceId): AuditEvent {
  const operator = parseOperatorName(below(2) === 0 ? 'ada' : 'bob')
  return {
    event: 'device.revoke',
    device,
    operator,
    reason: 'keyCompromise',
    comment: 'ä'.repeat(2000),
    at: 1,
    epoch: 1,
  }
}

function sessionOf(number: number): string {
  return number.toString(16).padStart(20, '0')
}

function deviceOf(number: number): DeviceId {
  return parseDeviceId(`d${number}`)
}

function someQuery(): AuditQuery {
  const maybe = (odds: number): boolean => below(odds) === 0
  const filters = ['a/#', '+/b/c', '#', '+/+', 'a//c', 'devices/d39/#', 'devices/+/state', '$SYS/#', 'ä/+', 'none']
  const times = log.records.map(({ time }) => time)
  const time = () => times[below(times.length)] ?? 0
  return {
    ...(maybe(2) && { device: deviceOf(20 + below(21)) }),
    ...(maybe(5) && { session: sessionOf(below(300)) }),
    ...(maybe(4) && { decision: maybe(3) ? 'allow' : 'deny' }),
    ...(maybe(4) && { rule: maybe(4) ? 'r/none' : `r/${below(3)}` }),
    ...(maybe(8) && { operator: parseOperatorName('ada') }),
    ...(maybe(5) && { event: maybe(2) ? 'device.revoke' : 'session.end' }),
    ...(maybe(3) && { topicFilter: parseTopicFilter(filters[below(filters.length)] ?? 'deep/#') }),
    ...(maybe(3) && { since: time() }),
    ...(maybe(3) && { until: time() }),
    ...(maybe(2) && { order: 'oldest' }),
    ...(maybe(2) && { limit: below(50) }),
    ...(maybe(3) && { after: below(log.records.length + 1000) }),
  }
}

/** What the query finds among all records, by reading each of them. */
function expected(query: AuditQuery): readonly number[] {
  const { order, after = order === 'oldest' ? -1 : Infinity, limit } = query
  const matches = matcherOf(query)
  const found = log.records.filter((record) => matches(asRead(record))).map(({ sequence }) => sequence)
  if (order === 'oldest') return found.filter((sequence) => sequence > after).slice(0, limit)
  return found
    .filter((sequence) => sequence < after)
    .toReversed()
    .slice(0, limit)
}

/** Text over 1 KiB is not in the log. */
function asRead(record: AuditRecord): AuditRecord {
  return 'topic' in record && record.topic.startsWith('long/') ? { ...record, topic: 'long/'.repeat(51) } : record
}

/** The log in a folder where its index can be done with as one likes. */
async function open(t: TestContext, { caughtUp = true, ownLog = false } = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'touchmark-search-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  for (const name of ['log', 'wal']) {
    if (ownLog) linkFiles(join(log.directory, name), join(directory, name))
    else symlinkSync(join(log.directory, name), join(directory, name))
  }
  const world = reopened(directory)
  if (caughtUp) await world.index.catchUp()
  const files = ['00000000.idx', '00000001.idx'].map((name) => join(directory, 'idx', name))
  return { ...world, files }
}

/** The same files under other names; what a test does away with there stays here. */
function linkFiles(from: string, to: string): void {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    const folder = join(to, relative(from, entry.parentPath))
    mkdirSync(folder, { recursive: true })
    if (entry.isFile()) linkSync(join(entry.parentPath, entry.name), join(folder, entry.name))
  }
}

/** A search that a test takes so far and then to its end. */
function steps(directory: string, index: SearchIndex, query: AuditQuery) {
  const pieces = find({ directory, index, query, last: log.records.length - 1 })
  const sequences = (records: readonly AuditRecord[]) => records.map(({ sequence }) => sequence)
  return {
    async some(): Promise<number[]> {
      for (;;) {
        const { value, done } = await pieces.next()
        if (done || value.length > 0) return done ? [] : sequences(value)
      }
    },
    async rest(found: number[]): Promise<void> {
      for await (const records of pieces) found.push(...sequences(records))
    },
  }
}

/** What retention does: the minimum first, and then bundles go. */
function forget(directory: string, kept: number): void {
  writeFileSync(join(directory, 'log', 'minimum'), encodeMinimum({ index: kept * 256, record: kept * 256 }))
  for (let index = 0; index < kept; index++) rmSync(join(directory, 'log', bundlePath(index)), { force: true })
}

function reopened(directory: string) {
  const index = new SearchIndex(directory)
  const search = async (query: AuditQuery): Promise<readonly number[]> => {
    const found: number[] = []
    for await (const records of find({ directory, index, query, last: log.records.length - 1 }))
      found.push(...records.map(({ sequence }) => sequence))
    return found
  }
  return { directory, index, search }
}
