import { setPriority } from 'node:os'
import { createEkAuthority } from '#simulators'
import { inPace, type Pace } from '../in-pace.js'
import { createDevice, type Device, type Kind } from './devices.js'
import { type Door, Visit } from './door.js'

/** What the process is told when it begins. */
export interface Setting {
  /** Holds the maker of the chips, and their state. */
  readonly folder: string
  readonly door: Door
  readonly token: string
}

export type Order =
  | { readonly do: 'prepare'; readonly kind: Kind; readonly count: number }
  | { readonly do: 'arrive'; readonly pace: Pace }

export interface Arrived {
  readonly count: number
  readonly seconds: number
  /** From the first packet, or from when it was due, until the certificate is there: in milliseconds, ascending. */
  readonly sorted: readonly number[]
  /** Of this process. */
  readonly cpuSeconds: number
}

/** Devices have processors of their own: here they take what the service and its neighbours leave of this machine's. */
const niceness = 19

/** Devices that come to the door: a process of its own, which does one thing after the other. */
setPriority(niceness)
const setting = JSON.parse(process.argv[2] ?? '') as Setting
let devices: readonly Device[] = []
let come = 0

process.on('message', (order: Order) => void obey(order))
process.on('disconnect', () => process.exit())

async function obey(order: Order): Promise<void> {
  if (order.do === 'prepare') process.send?.(await prepare(order.kind, order.count))
  else process.send?.(await arrive(order.pace))
}

async function prepare(kind: Kind, count: number): Promise<{ readonly count: number }> {
  const { folder, token } = setting
  const ekAuthority = await createEkAuthority({ folder, now: Date.now })
  const made: Device[] = []
  for (let at = 0; at < count; at++) made.push(await createDevice(kind, `${come + at}`, { folder, token, ekAuthority }))
  devices = made
  return { count }
}

async function arrive(pace: Pace): Promise<Arrived> {
  const latencies: number[] = []
  const [start, cpu] = [performance.now(), process.cpuUsage()]
  await inPace(devices, pace, async (device, due) => {
    const visit = await Visit.begin(setting.door, come++)
    await device.enroll(visit)
    latencies.push(performance.now() - due)
    await visit.end()
  })
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const sorted = latencies.sort((one, other) => one - other)
  return { count: sorted.length, seconds, sorted, cpuSeconds: (user + system) / 1e6 }
}
