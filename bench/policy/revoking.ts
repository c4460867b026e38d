import { setTimeout as wait } from 'node:timers/promises'
import type { LockAnswer } from '#protocol'
import type { Client } from '../load/client.js'
import { publishFrame } from '../load/frames.js'
import type { Measured } from '../parts.js'
import { type Live, livePolicy, openLive } from './live.js'
import type { Options } from './options.js'
import { ascending, percentile } from '../percentile.js'

export const revokeColumns = ['p50 ms', 'p99 ms', 'heard after']

/** So many are revoked one by one before half of the rest are at once. */
const oneByOne = 100
const everyMilliseconds = 1000

/**
 * How long until a revocation is answered and until the socket is closed, while all publish; and what is heard of those
 * that were revoked after the answer.
 */
export async function* measureRevoke(folder: string, { connected }: Options): AsyncIterable<Measured> {
  const live = await openLive(folder, connected, livePolicy(100, 'granted'))
  const publishing = publishAll(live)
  try {
    const ids = [...live.clients.keys()]
    const each = await revokeEach(live, ids.slice(0, Math.min(oneByOne, connected >> 1)))
    yield rowOf('one by one: API has answered', each.answered, each.heardAfter)
    yield rowOf('one by one: socket is closed', each.closed, each.heardAfter)
    const batch = await revokeBatch(live)
    const what = `${batch.count.toLocaleString('en')} by a label at once`
    yield rowOf(`${what}: API has answered`, [batch.answered], batch.heardAfter)
    yield rowOf(`${what}: last socket is closed`, batch.closed, batch.heardAfter)
  } finally {
    clearInterval(publishing)
    await live.end()
  }
}

async function revokeEach({ service, clients, pair }: Live, ids: readonly string[]) {
  const [answered, closed]: [number[], number[]] = [[], []]
  const silence = new Silence(pair)
  for (const id of ids) {
    const client = clients.get(id)
    if (!client) continue
    client.expectEnd()
    const start = performance.now()
    const gone = client.gone.then(() => closed.push(performance.now() - start))
    await service.ask('revokeDevice', { id, body: { reason: 'keyCompromise' } })
    answered.push(performance.now() - start)
    await silence.begin([id])
    await gone
  }
  return { answered, closed, heardAfter: await silence.broken() }
}

/** All that have a label, by one lock. */
async function revokeBatch({ service, clients, pair }: Live) {
  const closed: number[] = []
  const ended: string[] = []
  const start = performance.now()
  for (const [id, client] of clients) {
    if (client.socket.destroyed) continue // revoked before
    client.expectEnd()
    void client.gone.then(() => {
      closed.push(performance.now() - start)
      ended.push(id)
    })
  }
  const body = { target: { labels: { batch: 'b' } }, mode: 'revoke', reason: 'a benchmark' }
  const { sessions } = (await service.ask('addLock', { body })) as LockAnswer
  const answered = performance.now() - start
  await pair.settle()
  const silence = new Silence(pair)
  while (closed.length < sessions) await wait(1)
  await silence.begin(ended)
  return { count: sessions, answered, closed, heardAfter: await silence.broken() }
}

/** Devices that nobody may hear any more. */
class Silence {
  readonly #pair: Live['pair']
  readonly #heard = new Map<string, number>()

  constructor(pair: Live['pair']) {
    this.#pair = pair
  }

  /** Since now: what was on its way to the listener before comes first. */
  async begin(ids: readonly string[]): Promise<void> {
    await this.#pair.settle()
    for (const id of ids) this.#heard.set(id, this.#pair.heardFrom(topicOf(id)))
  }

  /** How often it was broken until now, and for as long as each of them would have taken to speak again. */
  async broken(): Promise<number> {
    await wait(2 * everyMilliseconds)
    let more = 0
    for (const [id, heard] of this.#heard) more += this.#pair.heardFrom(topicOf(id)) - heard
    return more
  }
}

const topicOf = (id: string): string => `fleet/site-7/${id}/telemetry/t`

/** Each says something every second, not all at once. */
function publishAll({ clients }: Live): NodeJS.Timeout {
  const speakers = [...clients].map(([id, client]) => ({
    client,
    frame: publishFrame(topicOf(id), { qos: 1, packetId: 1 }, Buffer.alloc(64)),
  }))
  const ticks = 50
  let at = 0
  return setInterval(() => {
    at = (at + 1) % ticks
    for (let next = at; next < speakers.length; next += ticks) say(speakers[next])
  }, everyMilliseconds / ticks)
}

function say(speaker: { readonly client: Client; readonly frame: Buffer } | undefined): void {
  if (speaker?.client.socket.writable) speaker.client.socket.write(speaker.frame)
}

function rowOf(row: string, milliseconds: readonly number[], heardAfter: number): Measured {
  const sorted = ascending(milliseconds)
  const values = { 'p50 ms': percentile(sorted, 0.5), 'p99 ms': percentile(sorted, 0.99), 'heard after': heardAfter }
  return { row, values }
}
