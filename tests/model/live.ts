import type { AuditRecord } from '#protocol'
import { seeded } from '../seeded.js'
import { judge, type Verdict, type Wrong } from './judge.js'
import { Life } from './life.js'
import { deviceNames, randomPolicy } from './policies.js'
import { openService } from './service.js'
import { shrink } from './shrink.js'
import { type Step, tell } from './steps.js'

export interface Lived extends Verdict {
  readonly records: readonly AuditRecord[]
  /** The steps up to the first in which something went wrong; all where nothing did. */
  readonly until: readonly Step[]
}

/**
 * One life over real sockets, and what is to be said of it by its log, and by its clients: each hears what is on record,
 * and nothing else.
 */
export async function live(seed: number, steps: readonly Step[]): Promise<Lived> {
  const ends: (() => Promise<void>)[] = []
  try {
    const first = randomPolicy(seeded(seed), 1, Date.now())
    const service = await openService({ after: (end) => void ends.push(end) }, deviceNames, JSON.stringify(first))
    const { records, payloads } = service.world.audit
    const life = new Life(service, first)
    await life.run(steps)

    const payloadOf = (sequence = -1) => new TextDecoder().decode(payloads.get(sequence))
    const { counts, wrong } = judge(records, {
      policies: life.policies,
      correlationOf: (sequence) => life.clients.said.get(payloadOf(sequence)) ?? {},
      noticedAt: (sequence) => life.noticed.findLast(({ from }) => from <= sequence)?.at ?? 0,
    })
    const all = [...wrong, ...unrecorded(records, life, payloadOf)]
    const [{ sequence = Infinity } = {}] = all
    return {
      counts,
      wrong: all,
      records,
      until: steps.slice(0, life.began.findLastIndex((from) => from <= sequence) + 1),
    }
  } finally {
    for (const end of ends) await end()
  }
}

/** The shortest part of these steps in which something still goes wrong, in words; what hangs on chance is not always found again. */
export async function whatFails(seed: number, { wrong, until }: Lived, tries = 40): Promise<string> {
  const fails = async (steps: readonly Step[]) => (await live(seed, steps)).wrong.length > 0
  const shortest = await shrink(until, fails, tries)
  return `seed ${seed}: ${wrong[0]?.what}; ${shortest.length} of ${until.length} steps are enough: ${tell(shortest)}`
}

/** What came over sockets more often than it is on record. */
function unrecorded(
  records: readonly AuditRecord[],
  { clients }: Life,
  payloadOf: (sequence: number | undefined) => string,
): readonly Wrong[] {
  const handed = countOf(
    records.flatMap((record) => {
      if (record.event !== 'message.deliver' || record.decision === 'deny') return []
      return [`${record.device} ${record.topic} ${payloadOf(record.origin)}`]
    }),
  )
  const heard = countOf(
    clients.all.flatMap(({ device, raw }) =>
      raw.all('publish').map(({ topic, payload }) => `${device} ${topic} ${payload.toString()}`),
    ),
  )
  return [...heard].flatMap(([message, times]) => {
    if (times <= (handed.get(message) ?? 0)) return []
    return [{ sequence: records.length, what: `${message} came ${times} times, which is not on record` }]
  })
}

function countOf(all: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const one of all) counts.set(one, (counts.get(one) ?? 0) + 1)
  return counts
}
