import { covered } from '#policy'
import { parseTopicFilter } from '#protocol'
import type { Measured } from '../parts.js'
import { filterOf } from './engines/engine.js'
import { policyOf, rightsOf } from './engines/touchmark.js'
import type { Options } from './options.js'
import { perSecond } from '../speed.js'

export const containmentColumns = ['a second', 'µs each']

/** Whether what a filter matches is in the union of others, exactly. */
export async function* measureContainment(_folder: string, { seconds }: Options): AsyncIterable<Measured> {
  for (const rules of [1, 20, 200]) {
    const allowed = Array.from({ length: rules }, (_, rule) => filterOf(rule).split('/'))
    const requested = [...(allowed[rules >> 1] ?? []).slice(0, -1), '+', 'value']
    yield rowOf(`filter in ${named(rules)}`, await perSecond(seconds, () => requireThat(covered(requested, allowed))))
  }
  for (const rules of [1, 20, 200]) {
    const rights = rightsOf(policyOf(rules))
    const filter = parseTopicFilter(filterOf(rules >> 1))
    const subscribe = () => requireThat(rights.subscribe(filter, 1).effect === 'allow')
    yield rowOf(`SUBSCRIBE under ${named(rules)}`, await perSecond(seconds, subscribe))
  }
  yield rowOf('64 × + in 1,024 rules', await perSecond(seconds, () => requireThat(covered(deep, hardest))))
}

/** None of them can be ruled out before the last level, where one of them covers. */
const deep = Array.from({ length: 64 }, () => '+')
const hardest = Array.from({ length: 1024 }, (_, rule) => [...deep.slice(1), rule === 1023 ? '+' : `last-${rule}`])

function requireThat(holds: boolean): void {
  if (!holds) throw new Error('a filter that is covered was said not to be')
}

function named(rules: number): string {
  return rules === 1 ? '1 rule' : `${rules} rules`
}

function rowOf(row: string, speed: number): Measured {
  return { row, values: { 'a second': speed, 'µs each': 1e6 / speed } }
}
