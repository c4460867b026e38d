import type { DeviceView } from '#protocol'
import { ServerError } from '../errors.js'

type Matches = (device: DeviceView) => boolean

/**
 * `label.site=oslo is:online -is:revoked`: every term must hold, one with a leading `-` must not.
 * @throws ServerError QUERY_INVALID
 */
export function parseDeviceQuery(query: string): Matches {
  const terms = query.split(/\s+/).filter((term) => term !== '')
  const matches = terms.map((term) => (term.startsWith('-') ? not(parseTerm(term.slice(1))) : parseTerm(term)))
  return (device) => matches.every((match) => match(device))
}

const states: Readonly<Record<string, Matches>> = {
  online: (device) => device.online,
  registered: (device) => device.state === 'registered',
  active: (device) => device.state === 'active',
  revoked: (device) => device.state === 'revoked',
}

function parseTerm(term: string): Matches {
  const [, name, value] = /^label\.([A-Za-z0-9._-]+)=([A-Za-z0-9._-]+)$/.exec(term) ?? []
  if (name !== undefined) return ({ labels }) => Object.hasOwn(labels, name) && labels[name] === value
  const [, word = ''] = /^is:(\w+)$/.exec(term) ?? []
  const state = Object.hasOwn(states, word) ? states[word] : undefined
  if (state !== undefined) return state
  const known = ['label.NAME=VALUE', ...Object.keys(states).map((name) => `is:${name}`)].join(', ')
  throw new ServerError(
    'QUERY_INVALID',
    `expected ${known}, each with or without a leading "-", got ${JSON.stringify(term)}`,
  )
}

function not(matches: Matches): Matches {
  return (device) => !matches(device)
}
