import {
  hasLabels,
  isName,
  type Labels,
  type OfferedService,
  parseDeviceId,
  patternOf,
  servicePageLimits,
} from '#protocol'
import { ServerError } from '../errors.js'

/** Which services one asks for, of those that he may see, and from where on. */
export interface Wanted {
  readonly matches: (offered: OfferedService) => boolean
  /** Device and service, as the page before ended. */
  readonly after: Pick<OfferedService, 'device' | 'service'> | undefined
  readonly limit: number
}

const known = 'label.NAME=VALUE, service=NAME, protocol=NAME, limit=COUNT, after=NEXT'

/**
 * `label.site=oslo&service=opc*&protocol=tcp`: all of it must hold. `after`: what the page before gave as `next`.
 * @throws ServerError QUERY_INVALID
 */
export function parseWanted(query: Readonly<Record<string, unknown>>): Wanted {
  const labels: Record<string, string> = {}
  const words: Partial<Record<'service' | 'protocol' | 'limit' | 'after', string>> = {}
  for (const [name, value] of Object.entries(query)) {
    if (typeof value !== 'string') throw mistake(name, 'said once')
    if (name.startsWith('label.')) labels[readName(name, name.slice('label.'.length))] = readName(name, value)
    else if (name === 'service' || name === 'protocol' || name === 'limit' || name === 'after') words[name] = value
    else throw mistake(name, `one of ${known}`)
  }
  return {
    matches: testOf(labels, patternIn('service', words.service), patternIn('protocol', words.protocol)),
    after: words.after === undefined ? undefined : parsePlace(words.after),
    limit: words.limit === undefined ? servicePageLimits.maxServices : parseLimit(words.limit),
  }
}

export function formatPlace({ device, service }: Pick<OfferedService, 'device' | 'service'>): string {
  return `${device}/${service}`
}

function testOf(labels: Labels, service: Fits, protocol: Fits): Wanted['matches'] {
  return (offered) => service(offered.service) && protocol(offered.protocol) && hasLabels(offered.labels, labels)
}

type Fits = (text: string) => boolean

function patternIn(name: string, pattern = '*'): Fits {
  if (!/^[A-Za-z0-9._-]{0,64}\*?$/.test(pattern)) throw mistake(name, 'a name, or the beginning of one and a *')
  return patternOf(pattern)
}

function readName(what: string, text: string): string {
  if (!isName(text)) throw mistake(what, '1 to 64 of A-Z a-z 0-9 . _ -')
  return text
}

function parseLimit(text: string): number {
  const limit = /^[1-9]\d{0,2}$/.test(text) ? Number(text) : Infinity
  if (limit > servicePageLimits.maxServices) throw mistake('limit', `1 to ${servicePageLimits.maxServices}`)
  return limit
}

function parsePlace(text: string): NonNullable<Wanted['after']> {
  const [device = '', service = '', ...rest] = text.split('/')
  if (!isName(device) || !isName(service) || rest.length > 0) {
    throw mistake('after', 'what the page before gave as "next"')
  }
  return { device: parseDeviceId(device), service }
}

function mistake(name: string, expected: string): ServerError {
  return new ServerError('QUERY_INVALID', `${JSON.stringify(name.slice(0, 64))}: expected ${expected}`)
}
