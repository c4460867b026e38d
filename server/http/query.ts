import type { DeviceView, Labels, SessionView } from '#protocol'
import { ServerError } from '../errors.js'

/** What a query can say of a thing: the labels it has, and what it is. */
export interface Terms<Thing> {
  readonly labels: (thing: Thing) => Labels
  /** By the word behind `is:`. */
  readonly states: Readonly<Record<string, (thing: Thing) => boolean>>
}

export const deviceTerms: Terms<DeviceView> = {
  labels: (device) => device.labels,
  states: {
    online: (device) => device.online,
    registered: (device) => device.state === 'registered',
    active: (device) => device.state === 'active',
    revoked: (device) => device.state === 'revoked',
  },
}

/** The labels are those of the session's device. */
export function sessionTerms(labelsOf: (session: SessionView) => Labels): Terms<SessionView> {
  return {
    labels: labelsOf,
    states: {
      online: (session) => session.connected,
      waiting: (session) => session.queued > 0,
      refused: (session) => session.lastRefusal !== undefined,
    },
  }
}

/**
 * `label.site=oslo is:online -is:revoked`: every term must hold, one with a leading `-` must not.
 * @throws ServerError QUERY_INVALID
 */
export function parseQuery<Thing>(query: string, terms: Terms<Thing>): (thing: Thing) => boolean {
  const words = query.split(/\s+/).filter((word) => word !== '')
  const matches = words.map((word) => {
    if (!word.startsWith('-')) return parseTerm(word, terms)
    const holds = parseTerm(word.slice(1), terms)
    return (thing: Thing) => !holds(thing)
  })
  return (thing) => matches.every((match) => match(thing))
}

function parseTerm<Thing>(term: string, { labels, states }: Terms<Thing>): (thing: Thing) => boolean {
  const [, name, value] = /^label\.([A-Za-z0-9._-]+)=([A-Za-z0-9._-]+)$/.exec(term) ?? []
  if (name !== undefined) return (thing) => Object.hasOwn(labels(thing), name) && labels(thing)[name] === value
  const [, word = ''] = /^is:(\w+)$/.exec(term) ?? []
  const state = Object.hasOwn(states, word) ? states[word] : undefined
  if (state !== undefined) return state
  const known = ['label.NAME=VALUE', ...Object.keys(states).map((name) => `is:${name}`)].join(', ')
  throw new ServerError(
    'QUERY_INVALID',
    `expected ${known}, each with or without a leading "-", got ${JSON.stringify(term)}`,
  )
}
