import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type AuditQuery, LogSearch } from '#audit'
import { type AuditEvent, type DeviceId, parseDeviceId, parseTopicFilter } from '#protocol'
import { EntryBuffer } from '../../audit/entries/entry-buffer.js'
import { SearchIndex } from '../../audit/search/search-index.js'
import { createDisk } from '../../audit/writing/disk.js'
import { LogWriter } from '../../audit/writing/writer.js'
import { cpuSecondsSince } from './floor.js'
import type { Options } from './options.js'
import type { Measured } from '../parts.js'

const queries = {
  'device, last hour, ms': ({ device, hourAgo }) => ({ device, since: hourAgo }),
  'its denials, ms': ({ device }) => ({ device, decision: 'deny' }),
  'topic, last hour, ms': ({ device, hourAgo }) => ({
    topicFilter: parseTopicFilter(`plants/+/devices/${device}/#`),
    since: hourAgo,
  }),
  'newest 100 of a device, ms': ({ device }) => ({ device, limit: 100 }),
  'nobody, ms': () => ({ device: parseDeviceId('nobody') }),
} satisfies Record<string, (about: { readonly device: DeviceId; readonly hourAgo: number }) => AuditQuery>

export const searchColumns = [
  ...Object.keys(queries),
  'slowest, ms',
  'index bytes per record',
  'indexed per CPU-second',
  'written per second',
]

const sizes = [1_000_000, 10_000_000]
const recordsPerHour = 100_000
const searches = 21

/** Searches of one log that grows, through the thread that searches in the server. */
export async function* measureSearch(folder: string, { largestLog }: Options): AsyncIterable<Measured> {
  const log = await createLog(folder)
  for (const size of sizes.filter((size) => size <= largestLog)) {
    const writing = await timed(() => log.growTo(size))
    const cpu = process.cpuUsage()
    const before = log.indexed
    await log.index.catchUp()
    const indexing = cpuSecondsSince(cpu)
    const found = await measureQueries(folder, size)
    yield {
      row: `${size.toLocaleString('en')} records`,
      values: {
        ...found,
        'index bytes per record': bytesIn(join(folder, 'idx')) / size,
        'indexed per CPU-second': (log.indexed - before) / indexing,
        'written per second': (size - before) / writing,
      },
    }
  }
  await log.close()
}

async function measureQueries(folder: string, size: number): Promise<Record<string, number>> {
  const search = new LogSearch({ directory: folder, durable: () => size - 1, elapsed: () => performance.now() })
  await count(search, { limit: 1 }) // the thread has begun, and has found the index
  const values: Record<string, number> = {}
  let slowest = 0
  for (const [name, query] of Object.entries(queries)) {
    const times: number[] = []
    for (let round = 0; round < searches; round++) {
      const about = { device: deviceOf((round * 97) % devices), hourAgo: timeOf(size) - 3_600_000 }
      times.push(1000 * (await timed(() => count(search, query(about)))))
    }
    times.sort((one, other) => one - other)
    values[name] = times[searches >> 1] ?? NaN
    slowest = Math.max(slowest, times.at(-1) ?? NaN)
  }
  await search.close()
  return { ...values, 'slowest, ms': slowest }
}

async function count(search: LogSearch, query: AuditQuery): Promise<number> {
  let bytes = 0
  for await (const lines of search.lines(query, { operator: 'bench' })) bytes += lines.length
  return bytes
}

/** Written as the server's writer does it, without a thread, a broker or a wait. */
async function createLog(directory: string) {
  const { privateKey: signingKey } = generateKeyPairSync('ed25519')
  const { writer } = await LogWriter.open({ directory, origin: 'bench.test/log', signingKey }, createDisk())
  const index = new SearchIndex(directory)
  let next = 0
  return {
    index,
    get indexed() {
      return index.end
    },
    async growTo(size: number) {
      const buffer = new EntryBuffer()
      while (next < size) {
        const end = Math.min(size, next + 2048)
        for (; next < end; next++) buffer.add({ sequence: next, time: timeOf(next) }, eventOf(next))
        writer.write(Buffer.from(buffer.take().records))
        while (writer.grow());
        if (writer.uncovered >= 65_536 || next === size) await writer.checkpoint()
        await writer.settle(performance.now())
      }
    },
    close: () => writer.close(),
  }
}

const devices = 2000

function deviceOf(number: number): DeviceId {
  return parseDeviceId(`sensor-${String(number).padStart(5, '0')}`)
}

function timeOf(sequence: number): number {
  return 1_700_000_000_000 + Math.floor((sequence * 3_600_000) / recordsPerHour)
}

const names = Array.from({ length: devices }, (_, number) => deviceOf(number))

/** Devices in no order that the index could like; one message in a thousand is denied, a session lasts for a day. */
function eventOf(sequence: number): AuditEvent {
  const number = (Math.imul(sequence, 0x9e3779b1) >>> 8) % devices
  const device = names[number] ?? deviceOf(0)
  const isDenied = (Math.imul(sequence, 0x85ebca6b) >>> 8) % 1000 === 0
  const day = Math.floor(sequence / (24 * recordsPerHour))
  return {
    event: 'message.publish',
    device,
    session: `1066597f${String(day).padStart(4, '0')}${String(number).padStart(8, '0')}`,
    sessionIndex: sequence,
    topic: `plants/oslo-${number % 7}/devices/${device}/vibration`,
    decision: isDenied ? 'deny' : 'allow',
    reason: isDenied ? 'no_rule' : undefined,
    rules: isDenied ? [] : ['sensor/telemetry'],
    policyVersion: 3,
    action: 'publish',
    qos: 1,
    retain: false,
    dup: false,
    messageId: sequence % 65_535,
    size: 40,
    recipients: 1,
  }
}

function bytesIn(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}
