import { setTimeout as wait } from 'node:timers/promises'
import { inParallel } from '../in-parallel.js'
import { inPace, type Pace } from '../in-pace.js'
import type { Door } from '../join/door.js'
import { Device } from './device.js'

/** What the process is told when it begins. */
export interface Setting {
  readonly door: Door
  readonly mqttPort: number
  readonly token: string
}

export type Order =
  | { readonly do: 'join'; readonly count: number; readonly pace: Pace }
  | { readonly do: 'renew'; readonly count: number; readonly pace: Pace }
  /** All come back, each at some moment of these seconds; every so-manieth has to renew first. */
  | { readonly do: 'return'; readonly seconds: number; readonly everyRenewing: number }
  | { readonly do: 'vanish' }

export interface Done {
  readonly count: number
  readonly seconds: number
  /** From the first packet, or from when it was due, until it is done: in milliseconds, ascending. */
  readonly sorted: readonly number[]
  /** Of this process. */
  readonly cpuSeconds: number
  /** Devices that were not let in at the first try, and all tries that were in vain. */
  readonly retried: number
  readonly refused: number
}

/** Devices that were here before: a process of its own. */
const { door, mqttPort, token } = JSON.parse(process.argv[2] ?? '') as Setting
const devices: Device[] = []
const atOnce = 32

process.on('message', (order: Order) => void obey(order).then((done) => process.send?.(done)))
process.on('disconnect', () => process.exit())

function obey(order: Order): Promise<Done> {
  switch (order.do) {
    case 'join':
      return join(order.count, order.pace)
    case 'renew':
      return timed(devices.slice(0, order.count), order.pace, (device) => device.renew())
    case 'return':
      return comeBack(order.seconds * 1000, order.everyRenewing)
    case 'vanish':
      return timed(devices, { atOnce }, (device) => device.vanish())
  }
}

async function join(count: number, pace: Pace): Promise<Done> {
  const first = devices.length
  for (let at = 0; at < count; at++) devices.push(await Device.create(door, first + at))
  return timed(devices.slice(first), pace, (device) => device.join(token))
}

async function timed(some: readonly Device[], pace: Pace, work: (device: Device) => Promise<void>): Promise<Done> {
  const watch = new Watch()
  await inPace(some, pace, async (device, due) => {
    await work(device)
    watch.done(due)
  })
  return watch.read()
}

async function comeBack(milliseconds: number, everyRenewing: number): Promise<Done> {
  const watch = new Watch()
  const moments = devices.map(() => performance.now() + Math.random() * milliseconds)
  await inParallel([...devices.entries()], devices.length, async ([place, device]) => {
    const due = moments[place] ?? 0
    await wait(Math.max(0, due - performance.now()))
    const { refused } = await device.comeBack(mqttPort, place % everyRenewing === 0)
    watch.done(due, refused)
  })
  return watch.read()
}

class Watch {
  readonly #start = performance.now()
  readonly #cpu = process.cpuUsage()
  readonly #latencies: number[] = []
  #retried = 0
  #refused = 0

  done(due: number, refused = 0): void {
    this.#latencies.push(performance.now() - due)
    this.#refused += refused
    if (refused > 0) this.#retried++
  }

  read(): Done {
    const { user, system } = process.cpuUsage(this.#cpu)
    return {
      count: this.#latencies.length,
      seconds: (performance.now() - this.#start) / 1000,
      sorted: this.#latencies.sort((one, other) => one - other),
      cpuSeconds: (user + system) / 1e6,
      retried: this.#retried,
      refused: this.#refused,
    }
  }
}
