import { hasLabels, type Labels, ownLabel, patternOf, type QueryWord, queryWords } from '#protocol'
import { ServerError } from '../errors.js'

/** What a query can say of a thing. */
export interface Terms<Thing> {
  /** `label.site=oslo`: what the thing has by names, by the word before the dot. */
  readonly maps: Readonly<Record<string, (thing: Thing) => Labels>>
  /** `is:online`, `cert:<7d`: by the word before the colon. */
  readonly words: Readonly<Record<string, Term<Thing>>>
}

export interface Term<Thing> {
  /** What may stand behind the colon, for who wrote something else there. */
  readonly expected: string
  /** Undefined where it is something else. */
  readonly read: (value: string, now: number) => Test<Thing> | undefined
}

export type Test<Thing> = (thing: Thing) => boolean

/**
 * `label.site=oslo is:online -is:revoked`: every word must hold, one with a leading `-` must not. `now`: what spans such
 * as `7d` count from, in milliseconds since 1970.
 * @throws ServerError QUERY_INVALID, which names the column and what was expected there
 */
export function parseQuery<Thing>(query: string, terms: Terms<Thing>, now: number): Test<Thing> {
  const tests = [...queryWords(query)].map((word): Test<Thing> => {
    const holds = readWord(word, terms, now)
    return word.negated ? (thing) => !holds(thing) : holds
  })
  return (thing) => tests.every((holds) => holds(thing))
}

function readWord<Thing>(word: QueryWord, { maps, words }: Terms<Thing>, now: number): Test<Thing> {
  const { name, sign, value = '' } = word
  if (sign === ':') {
    const term = Object.hasOwn(words, name) ? words[name] : undefined
    const test = term?.read(value, now)
    if (test !== undefined) return test
    if (term !== undefined) throw mistake(word, `${name}: followed by ${term.expected}`)
  }
  const [map = '', ...rest] = name.split('.')
  const of = Object.hasOwn(maps, map) ? maps[map] : undefined
  if (sign === '=' && of !== undefined && rest.length > 0) return testOfMap(of, rest.join('.'), value)
  const known = [
    ...Object.keys(maps).map((map) => `${map}.NAME=VALUE`),
    ...Object.keys(words).map((word) => `${word}:…`),
  ]
  throw mistake(word, known.join(', '))
}

/** As everywhere labels select, see {@link hasLabels}; here a value may also end with `*`. */
function testOfMap<Thing>(of: (thing: Thing) => Labels, name: string, value: string): Test<Thing> {
  if (!value.endsWith('*')) return (thing) => hasLabels(of(thing), { [name]: value })
  const fits = patternOf(value)
  return (thing) => {
    const found = ownLabel(of(thing), name)
    return found !== undefined && fits(found)
  }
}

function mistake({ column, text }: QueryWord, expected: string): ServerError {
  return new ServerError('QUERY_INVALID', `column ${column}: expected ${expected}, got ${JSON.stringify(text)}`)
}
