import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { add, type Duties, dutyOf, eachSample, monotonicMicros, readProfiles } from '../cpu-profile.js'
import type { Measured } from '../parts.js'
import type { Kind } from './devices.js'
import type { Options } from './options.js'
import { openStage } from './stage.js'

export const stepColumns = ['µs', '%', 'in the broker’s thread µs']

/** What a file is there for when a device joins; what Node and OpenSSL do for it counts as its own. */
const steps: Duties = [
  [/^\(garbage collector\)/, 'garbage collection'],
  [/^(node:|\(native\))/, 'TLS and sockets'],
  [/^(server\/http\/|fastify|light-my-request|@fastify|find-my-way|avvio|secure-json)/, 'HTTP'],
  [/^server\/http/, 'HTTP'],
  [/^protocol\//, 'read the request'],
  [/^enrollment\/|^tpm\//, 'appraise evidence, make and seal the challenge'],
  [/^(x509|ca|@peculiar|pkijs|asn1js|pvtsutils|pvutils)\//, 'certificates: read, verify, issue'],
  [/^(registry|store|level|classic-level|abstract-level)/, 'registry and store'],
  [/^audit\//, 'audit'],
]

/** Where the time of one join goes: from a profile of the server while devices come. */
export async function* measureSteps(folder: string, { joins, atOnce }: Options): AsyncIterable<Measured> {
  for (const [kind, name] of [
    ['token', 'token join'],
    ['tpm', 'TPM join'],
  ] as const) {
    const spent = await profile(join(folder, kind), kind, joins, atOnce)
    const total = [...spent.all.values()].reduce((sum, micros) => sum + micros, 0)
    for (const [step, micros] of [...spent.all].sort(([, one], [, other]) => other - one)) {
      const beside = (spent.beside.get(step) ?? 0) / joins
      const values = { µs: micros / joins, '%': (micros * 100) / total, 'in the broker’s thread µs': beside }
      yield { row: `${name}: ${step}`, values }
    }
  }
}

/** Microseconds by step. */
interface Spent {
  readonly all: ReadonlyMap<string, number>
  /** What the broker waited for. */
  readonly beside: ReadonlyMap<string, number>
}

/** Of all threads of the server, while the devices came. */
async function profile(folder: string, kind: Kind, joins: number, atOnce: number): Promise<Spent> {
  const profiles = join(folder, 'profiles')
  await mkdir(profiles, { recursive: true })
  const { crowd, end } = await openStage(folder, profiles)
  let [from, to] = [0, 0]
  try {
    await crowd.come(kind, joins >> 2, { atOnce }) // Node compiles
    await crowd.prepare(kind, joins)
    from = monotonicMicros()
    await crowd.arrive({ atOnce })
    to = monotonicMicros()
  } finally {
    await end()
  }
  const [all, beside] = [new Map<string, number>(), new Map<string, number>()]
  for (const thread of readProfiles(profiles)) {
    const samples = [...eachSample(thread, [from, to])]
    const isBrokers = samples.some(({ place }) => place.startsWith('server/http/'))
    for (const { place, micros } of samples) {
      add(all, dutyOf(place, steps), micros)
      if (isBrokers) add(beside, dutyOf(place, steps), micros)
    }
  }
  return { all, beside }
}
