import { setTimeout as wait } from 'node:timers/promises'
import { commandTopic, controller, type Fleet } from '../fleet.js'
import { Client } from '../load/client.js'
import { type ProtocolLevel, publishFrame } from '../load/frames.js'
import { Collector } from './collector.js'
import { type RestlessCounts, runRestless } from './restless.js'
import { SteadyPublisher } from './steady.js'

/* The load of the soak, a process of its own: starts at the first message, ends at the second, and tells how it goes. */

export interface SoakOrder {
  readonly fleet: Fleet
  readonly port: number
  /** Messages per second. */
  readonly rate: number
  readonly reportSeconds: number
}

export interface SoakReport extends RestlessCounts {
  readonly kind: 'report' | 'end'
  readonly sent: number
  readonly received: number
  readonly skipped: number
  /** Messages that had to wait because too many were without an answer. */
  readonly heldBack: number
  readonly errors: readonly string[]
}

/** What the broker speaks; devices are spread over it evenly. */
const levels: readonly ProtocolLevel[] = [4, 5]
const publisherQos: readonly (0 | 1 | 2)[] = [0, 1, 2]
const collectorQos = 2

const steadyDevices = 30
const restlessDevices = 12
const tickMilliseconds = 10
const commandMilliseconds = 50
const errors: string[] = []
const counts: RestlessCounts = { connects: 0, takeovers: 0, drops: 0 }

process.once('disconnect', () => process.exit())
process.once('message', (order: SoakOrder) => {
  const stopping = new AbortController()
  process.once('message', () => stopping.abort())
  run(order, stopping.signal).catch((error: unknown) => {
    fail(error instanceof Error ? error : new Error(String(error)))
    process.send?.({ kind: 'end', sent: 0, received: 0, skipped: 0, heldBack: 0, ...counts, errors })
  })
})

async function run(order: SoakOrder, signal: AbortSignal): Promise<void> {
  const { fleet, port } = order
  const { publishers, collector } = await connectSteady(order)
  const restless = Array.from({ length: restlessDevices }, (_, index) =>
    runRestless(fleet, port, {
      index: steadyDevices + index,
      level: levels[index % levels.length] ?? 4,
      ...{ counts, signal, fail, chance: Math.random },
    }).catch(fail),
  )
  const commanding = command(order, signal)
  const pace = new Pace(publishers, order.rate)
  const reportNow = (kind: SoakReport['kind']) =>
    process.send?.({
      kind,
      ...{ sent: pace.sent, heldBack: pace.heldBack, received: collector.received, skipped: collector.skipped },
      ...counts,
      errors,
    })
  const reporting = setInterval(() => reportNow('report'), order.reportSeconds * 1000)
  while (!signal.aborted) {
    pace.tick(performance.now())
    await wait(tickMilliseconds)
  }
  clearInterval(reporting)
  await Promise.all([...restless, commanding])
  await settle(publishers, collector)
  await Promise.all([collector, ...publishers].map(({ client }) => client.leave()))
  reportNow('end')
  process.disconnect()
}

async function connectSteady({ fleet, port }: SoakOrder) {
  const publishers: SteadyPublisher[] = []
  for (let index = 0; index < steadyDevices; index++) {
    const level = levels[index % levels.length] ?? 4
    const qos = publisherQos[index % publisherQos.length] ?? 0
    const publisher = await SteadyPublisher.connect(fleet, port, { index, level, qos })
    publisher.client.onEnd = fail
    publishers.push(publisher)
  }
  const level = levels[levels.length - 1] ?? 4
  const collector = await Collector.connect(fleet, port, publishers, { level, qos: collectorQos, fail })
  return { publishers, collector }
}

/** Sends what is due, spread over all publishers. */
class Pace {
  sent = 0
  heldBack = 0
  readonly #publishers: readonly SteadyPublisher[]
  readonly #rate: number
  #last = performance.now()
  #turn = 0

  constructor(publishers: readonly SteadyPublisher[], rate: number) {
    this.#publishers = publishers
    this.#rate = rate
  }

  /** What could not be sent when it was due is not made up for. */
  tick(now: number): void {
    const due = Math.round(((now - this.#last) / 1000) * this.#rate)
    this.#last = now
    const share = Math.ceil(due / this.#publishers.length)
    for (let left = due; left > 0; left -= share) {
      const publisher = this.#publishers[this.#turn++ % this.#publishers.length]
      const sent = publisher?.send(Math.min(share, left)) ?? 0
      this.sent += sent
      this.heldBack += Math.min(share, left) - sent
    }
  }
}

/** Something to do for those who come and go, and to be kept for those who are away. */
async function command({ fleet, port }: SoakOrder, signal: AbortSignal): Promise<void> {
  const client = await Client.connect(fleet, port, controller)
  client.onEnd = fail
  const frame = publishFrame(commandTopic, { qos: 1, packetId: 1 }, Buffer.from('report'))
  while (!signal.aborted) {
    await new Promise<void>((resolve) => {
      client.onFrame = () => resolve()
      client.socket.write(frame)
    })
    await wait(commandMilliseconds)
  }
  await client.leave()
}

async function settle(publishers: readonly SteadyPublisher[], collector: Collector): Promise<void> {
  const patienceMilliseconds = 30_000
  const start = performance.now()
  const isDone = () => collector.complete && publishers.every(({ unanswered }) => unanswered === 0)
  while (!isDone()) {
    if (performance.now() - start > patienceMilliseconds)
      return fail(new Error('messages were lost: they never arrived'))
    await wait(tickMilliseconds)
  }
}

function fail(error: Error): void {
  process.stderr.write(`${new Date().toISOString()} ${error.message}\n`) // at once: whoever watches may want to look
  if (errors.length < 20) errors.push(error.message)
}
