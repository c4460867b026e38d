import { parseSpan, patternOf } from '#protocol'
import type { Term, Test } from './query.js'

/* The kinds of words that a query has, each made of what it looks at. */

/** `is:online`: one of these words. */
export function oneOf<Thing>(states: Readonly<Record<string, Test<Thing>>>): Term<Thing> {
  return {
    expected: `one of ${Object.keys(states).join(', ')}`,
    read: (value) => (Object.hasOwn(states, value) ? states[value] : undefined),
  }
}

/** `id:pump-*`: text, or the beginning of one. Of several it is enough that one fits. */
export function textLike<Thing>(of: (thing: Thing) => readonly string[]): Term<Thing> {
  return {
    expected: 'text, or the beginning of one and a *',
    read: (value) => {
      const fits = patternOf(value)
      return (thing) => of(thing).some(fits)
    },
  }
}

export interface Moment<Thing> {
  /** Milliseconds between now and then; undefined where there is no such moment. */
  readonly distance: (thing: Thing, now: number) => number | undefined
  /** Words beside spans, such as `expired`. */
  readonly words: Readonly<Record<string, (distance: number | undefined) => boolean>>
}

/** `cert:<7d`, `seen:>1h`: less or more than so long away from now. What has no such moment is neither. */
export function span<Thing>({ distance, words }: Moment<Thing>): Term<Thing> {
  return {
    expected: `< or > and a span such as 90s, 15m, 2h, 7d or 1w, or by ${Object.keys(words).join(' or ')}`,
    read: (value, now) => {
      const says = Object.hasOwn(words, value) ? words[value] : undefined
      if (says !== undefined) return (thing) => says(distance(thing, now))
      const milliseconds = parseSpan(value.slice(1))
      if (milliseconds === undefined || !/^[<>]/.test(value)) return undefined
      const isLess = value.startsWith('<')
      return (thing) => {
        const found = distance(thing, now)
        return found !== undefined && (isLess ? found < milliseconds : found > milliseconds)
      }
    },
  }
}
