import type { EffectivePolicy } from '#policy'
import { parseTopicFilter, parseTopicName } from '#protocol'
import type { Measured } from '../parts.js'
import { asking } from './engines/engine.js'
import { policyOf, rightsOf } from './engines/touchmark.js'
import type { Options } from './options.js'

export const renderingColumns = ['ms in all', 'µs for each', 'bytes for each']

/** What a policy costs until it decides for a whole fleet: read once, then made into the rights of each device. */
export async function* measureRendering(_folder: string, { devices }: Options): AsyncIterable<Measured> {
  for (const rules of [20, 200]) {
    const { milliseconds, made: policy } = timed(() => policyOf(rules))
    yield { row: `read ${rules} rules`, values: { 'ms in all': milliseconds } }
    const names = Array.from({ length: devices }, (_, at) => `device-${at}`)
    const before = heapBytes()
    const rendered = timed(() => names.map((name) => rightsOf(policy, name)))
    yield rowOf(
      `rights of ${devices.toLocaleString('en')} devices, ${rules} rules`,
      devices,
      rendered.milliseconds,
      before,
    )
    const asked = timed(() => names.forEach((name, at) => ask(rendered.made[at], name)))
    yield rowOf(`each publishes and subscribes once, ${rules} rules`, devices, asked.milliseconds, before)
    if (rendered.made.length !== devices) throw new Error('they are to be held until here')
  }
}

function ask(rights: EffectivePolicy | undefined, name: string): void {
  const below = `fleet/${asking.site}/${name}/channel-7`
  const topic = parseTopicName(`${below}/state`)
  const published = rights?.publish({ topic, qos: 0, retain: false, size: 8 }).effect
  const subscribed = rights?.subscribe(parseTopicFilter(`${below}/#`), 1).effect
  if (published !== 'allow' || subscribed !== 'allow') throw new Error(`${name} was refused`)
}

function rowOf(row: string, devices: number, milliseconds: number, before: number): Measured {
  const values = { 'ms in all': milliseconds, 'µs for each': (1000 * milliseconds) / devices }
  return { row, values: { ...values, 'bytes for each': (heapBytes() - before) / devices } }
}

function timed<Made>(make: () => Made): { readonly made: Made; readonly milliseconds: number } {
  const start = performance.now()
  const made = make()
  return { made, milliseconds: performance.now() - start }
}

/** Without garbage where it can be collected: the benchmark's script says `--expose-gc`. */
function heapBytes(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
