import type { Explanation } from '#protocol'
import type { Levels } from '../matching/containment.js'
import type { Rendered } from '../matching/rule-list.js'
import type { Question } from '../policy.js'

type Considered = Explanation['considered'][number]
type Miss = NonNullable<Explanation['nearest']>

/**
 * Of what was refused because nothing allows it: the allow that comes closest. One that lacks a constraint or a condition
 * only, else the one whose filter has the most in common with what was asked for; none where there is nothing.
 */
export function nearestMiss(
  considered: readonly Considered[],
  allows: readonly Rendered[],
  question: Question,
): Miss | undefined {
  const almost = considered.find(
    ({ effect, failed }) => effect === 'allow' && failed !== undefined && failed !== 'topic',
  )
  if (almost?.failed !== undefined) return { rule: almost.rule, at: almost.at, failed: almost.failed }
  const asked = (question.action === 'subscribe' ? question.filter : question.topic).split('/')
  let best: { readonly miss: Miss; readonly likeness: number } | undefined
  for (const { rule, filters, shares } of allows) {
    for (const filter of [...filters, ...shares.map(({ group, filter }) => ['$share', group, ...filter])]) {
      const likeness = likenessOf(filter, asked)
      if (likeness <= (best?.likeness ?? 0)) continue
      best = { miss: { rule: rule.id, at: rule.at, failed: 'topic', filter: filter.join('/') }, likeness }
    }
  }
  return best?.miss
}

/** A word in its place counts most, a wildcard less, what differs or is missing against it. */
function likenessOf(filter: Levels, asked: Levels): number {
  const depth = Math.max(filter.at(-1) === '#' ? filter.length - 1 : filter.length, asked.length)
  return Array.from({ length: depth }, (_, at) => {
    const level = at < filter.length ? filter[at] : filter.at(-1) === '#' ? '#' : undefined
    if (level === asked[at]) return 2
    return asked[at] !== undefined && (level === '+' || level === '#') ? 0 : -1
  }).reduce<number>((sum, points) => sum + points, 0)
}
