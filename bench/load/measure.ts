import { setTimeout as wait } from 'node:timers/promises'
import { cpuSecondsOf, residentBytesOf } from '../processes.js'
import type { Load } from '../cases.js'
import { deviceName, type Fleet } from '../fleet.js'
import { Client } from './client.js'
import { Exchange, type ExchangeLoad } from './exchange.js'

export interface Order {
  readonly fleet: Fleet
  readonly port: number
  readonly brokerPid: number
  /** Whether SIGUSR2 makes the broker collect its garbage. */
  readonly collects: boolean
  readonly load: Load
  readonly warmUpSeconds: number
  readonly seconds: number
}

export interface Result {
  /** What was measured: messages delivered, connections made, or connections held. */
  readonly done: number
  readonly seconds: number
  readonly brokerCpuSeconds: number
  readonly loadCpuSeconds: number
  readonly latency?: { readonly p50: number; readonly p99: number }
  readonly bytesPerConnection?: number
  /** Messages in and out since the broker was started: so many records its log must hold. */
  readonly messages: number
}

/** A load that makes no progress for so long has met a broker that is stuck. */
const patienceSeconds = 30

export async function measure(order: Order): Promise<Result> {
  const { load } = order
  switch (load.kind) {
    case 'exchange':
      return await measureExchange(order, load)
    case 'connect':
      return await measureConnects(order, load.parallel)
    case 'idle':
      return await measureIdle(order, load.connections)
  }
}

async function measureExchange(order: Order, load: ExchangeLoad): Promise<Result> {
  const exchange = await Exchange.open(order.fleet, order.port, load)
  const run = async (): Promise<Result> => {
    exchange.start()
    await wait(order.warmUpSeconds * 1000)
    exchange.latency.reset()
    const counted = await count(order, () => exchange.delivered)
    const [p50, p99] = [exchange.latency.percentile(50), exchange.latency.percentile(99)]
    await within(patienceSeconds, exchange.stop())
    return { ...counted, latency: { p50, p99 }, messages: exchange.published + exchange.delivered }
  }
  return await Promise.race([run(), exchange.failure])
}

/** To make a connection takes more code than a message does, and runs it less often: Node compiles for longer. */
const connectWarmUps = 3

async function measureConnects({ fleet, port, ...order }: Order, parallel: number): Promise<Result> {
  const names = Object.keys(fleet.clients)
  let made = 0
  let stopping = false
  let next = 0
  const visit = async (): Promise<void> => {
    while (!stopping) {
      const client = await Client.connect(fleet, port, names[next++ % names.length] ?? '')
      made++
      await client.leave()
    }
  }
  const visitors = Promise.all(Array.from({ length: parallel }, visit))
  const run = async (): Promise<Result> => {
    await wait(order.warmUpSeconds * connectWarmUps * 1000)
    return { ...(await count(order, () => made)), messages: 0 }
  }
  const result = await Promise.race([run(), visitors.then(() => run())])
  stopping = true
  await within(patienceSeconds, visitors)
  return result
}

/** The first connections warm the broker up: what it needs once is not counted. */
async function measureIdle(order: Order, connections: number): Promise<Result> {
  const { fleet, port, brokerPid } = order
  const warmUps = Math.ceil(connections / 10)
  const clients: Client[] = []
  let next = 0
  const open = async (until: number): Promise<void> => {
    const openOneByOne = async (): Promise<void> => {
      while (next < until) clients.push(await Client.connect(fleet, port, deviceName(next++)))
    }
    await Promise.all(Array.from({ length: 8 }, openOneByOne))
  }
  await open(warmUps)
  const before = await settledBytes(order)
  const cpu = [cpuSecondsOf(brokerPid), cpuSecondsOf(process.pid)] as const
  const start = performance.now()
  await open(connections)
  const seconds = (performance.now() - start) / 1000
  const brokerCpuSeconds = cpuSecondsOf(brokerPid) - cpu[0]
  const loadCpuSeconds = cpuSecondsOf(process.pid) - cpu[1]
  const done = connections - warmUps
  const bytesPerConnection = ((await settledBytes(order)) - before) / done
  await Promise.all(clients.map((client) => client.leave()))
  return { done, seconds, brokerCpuSeconds, loadCpuSeconds, bytesPerConnection, messages: 0 }
}

async function settledBytes({ brokerPid, collects, warmUpSeconds }: Order): Promise<number> {
  for (let round = 0; round < 2; round++) {
    if (collects) process.kill(brokerPid, 'SIGUSR2')
    await wait(warmUpSeconds * 1000)
  }
  return residentBytesOf(brokerPid)
}

/** What is done, and what it costs, in the measured time. */
async function count({ brokerPid, seconds }: Pick<Order, 'brokerPid' | 'seconds'>, done: () => number) {
  const look = () => [done(), performance.now(), cpuSecondsOf(brokerPid), cpuSecondsOf(process.pid)] as const
  const before = look()
  await wait(seconds * 1000)
  const after = look()
  return {
    done: after[0] - before[0],
    seconds: (after[1] - before[1]) / 1000,
    brokerCpuSeconds: after[2] - before[2],
    loadCpuSeconds: after[3] - before[3],
  }
}

async function within(seconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the broker has not finished within ${seconds} s`)), seconds * 1000)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}
