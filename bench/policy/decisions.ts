import { parseTopicName, type TopicName } from '#protocol'
import type { Measured } from '../parts.js'
import { cachingCasbin, casbin } from './engines/casbin.js'
import { cedar } from './engines/cedar.js'
import { type Ask, type Engine, filterOf } from './engines/engine.js'
import { splitAndCompare } from './engines/split-and-compare.js'
import { touchmark } from './engines/touchmark.js'
import type { Options } from './options.js'
import { perSecond } from '../speed.js'

const ruleCounts = [1, 20, 200]

export const decisionColumns = [...ruleCounts.map((count) => columnOf(count)), 'to split and compare']

/** So few are remembered by whoever remembers, and so many by nobody here. */
const topicCounts = { cached: 16, uncached: 20_000 }

const engines: readonly { readonly engine: Engine; readonly topics: keyof typeof topicCounts }[] = [
  { engine: touchmark, topics: 'cached' },
  { engine: touchmark, topics: 'uncached' },
  { engine: splitAndCompare, topics: 'uncached' },
  { engine: cachingCasbin, topics: 'cached' },
  { engine: casbin, topics: 'uncached' },
  { engine: cedar, topics: 'uncached' },
]

/** Whether a device may publish, a second; all rules are for it, and each allows as many of the topics as any other. */
export async function* measureDecisions(_folder: string, { seconds }: Options): AsyncIterable<Measured> {
  const plain = await speedOf(splitAndCompare, 20, topicCounts.uncached, seconds)
  for (const { engine, topics } of engines) {
    const values: Record<string, number> = {}
    for (const count of ruleCounts) {
      values[columnOf(count)] = await speedOf(engine, count, topicCounts[topics], seconds)
    }
    values['to split and compare'] = (values[columnOf(20)] ?? NaN) / plain
    yield { row: `${engine.name}, ${topics}`, values }
  }
}

function columnOf(rules: number): string {
  return rules === 1 ? '1 rule' : `${rules} rules`
}

async function speedOf(engine: Engine, rules: number, topicCount: number, seconds: number): Promise<number> {
  const filters = Array.from({ length: rules }, (_, rule) => filterOf(rule))
  const topics = Array.from({ length: topicCount }, (_, at) =>
    parseTopicName(filterOf(at % rules).replace('#', `sensor-${at}`)),
  )
  const ask = await engine.prepare(filters)
  await requireRightAnswers(engine, ask, topics)
  return perSecond(seconds, (turn) => {
    const answer = ask(topics[turn % topicCount] ?? nowhere)
    return typeof answer === 'boolean' ? requireAllow(answer) : answer.then(requireAllow)
  })
}

/** Who answers fast has to answer right. */
async function requireRightAnswers({ name }: Engine, ask: Ask, [first = nowhere]: readonly TopicName[]): Promise<void> {
  if ((await ask(first)) && !(await ask(nowhere))) return
  throw new Error(`${name} has answered wrongly`)
}

function requireAllow(answer: boolean): void {
  if (!answer) throw new Error('a decision has changed')
}

const nowhere = parseTopicName('fleet/oslo/d2/channel-0/sensor-0')
