import { parseDeviceId } from '#protocol'
import { collector, type Credentials, deviceName } from '../fleet.js'
import { Client } from '../load/client.js'
import { Pair } from '../neighbours/pair.js'
import { inParallel } from '../in-parallel.js'
import { Service, type ServiceOptions } from '../service.js'

/** A service with devices that are connected, and two neighbours beside them that tell how the broker goes on. */
export interface Live {
  readonly service: Service
  readonly pair: Pair
  /** By device id; every second one has the label `batch: b`, the others `batch: a`. */
  readonly clients: ReadonlyMap<string, Client>
  end(): Promise<void>
}

const atOnce = 8

export async function openLive(
  folder: string,
  devices: number,
  policy: string,
  options: ServiceOptions = {},
): Promise<Live> {
  const service = await Service.start(folder, options)
  try {
    await service.ask('applyPolicy', { body: policy })
    const fleet = await enrollAll(service, devices)
    const names = Object.keys(fleet.clients).filter((name) => !neighbours.includes(name))
    const clients = new Map<string, Client>()
    await inParallel(names, atOnce, async (name) => {
      const client = await Client.connect(fleet, service.mqttPort, name)
      await client.subscribe(`fleet/site-7/${name}/commands/#`, 1)
      await client.subscribe(`fleet/site-7/${name}/settings/#`, 1)
      clients.set(name, client)
    })
    const pair = await Pair.connect(fleet, service.mqttPort)
    await pair.measure(1)
    const end = async () => {
      for (const client of clients.values()) client.expectEnd()
      await pair.leave()
      await service.stop()
    }
    return { service, pair, clients, end }
  } catch (error) {
    await service.stop()
    throw error
  }
}

const neighbours: readonly string[] = [collector, deviceName(0)]

async function enrollAll(service: Service, devices: number): Promise<Credentials> {
  const clients: Record<string, Credentials['clients'][string]> = {}
  const join = async (token: string) => {
    const { id, credential } = await service.join(token)
    clients[id] = credential
  }
  for (const [name, kind] of [
    [collector, 'collector'],
    [deviceName(0), 'device'],
  ] as const) {
    await join(await service.tokenFor({ device: parseDeviceId(name), labels: { kind } }))
  }
  const perBatch = Math.ceil(devices / 2)
  for (const [batch, count] of [
    ['a', perBatch],
    ['b', devices - perBatch],
  ] as const) {
    const token = await service.tokenFor({ labels: { kind: 'device', batch }, uses: Math.max(1, count) })
    await inParallel(Array.from({ length: count }), atOnce, () => join(token))
  }
  return { ca: service.ca, clients }
}

/** Twenty rules for each device. `settings`: whether it may still hear of its settings. */
export function livePolicy(version: number, settings: 'granted' | 'withdrawn'): string {
  const more = Array.from({ length: settings === 'granted' ? 17 : 18 }, (_, at) => `part-${at}`)
  const say = (name: string) =>
    `      - { id: ${name}, actions: [publish], topics: ["fleet/site-7/\${device.id}/${name}/#"], qos: { max: 1 } }`
  const hear = (name: string) =>
    `      - { id: ${name}, actions: [subscribe, receive], topics: ["fleet/site-7/\${device.id}/${name}/#"], qos: { max: 1 } }`
  return `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: bench, version: ${version} }
roles:
  device:
    allow:
${[say('telemetry'), hear('commands'), ...(settings === 'granted' ? [hear('settings')] : []), ...more.map(say)].join('\n')}
  collector:
    allow:
      - { id: listen, actions: [subscribe, receive], topics: ["fleet/site-7/+/telemetry/#"], qos: { max: 1 } }
bindings:
  - { role: device, match: { labels: { kind: device } } }
  - { role: collector, match: { labels: { kind: collector } } }
`
}
