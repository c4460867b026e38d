import {
  boolean,
  type Decoder,
  integer,
  list,
  object,
  optional,
  parsed,
  parseProfileName,
  parseTime,
  pcrPolicyModes,
  ProtocolError,
  record,
  text,
  word,
} from '#protocol'
import { EnrollmentError } from '../errors.js'
import { type AcceptedValue, type EventRule, type PcrPolicy, secureBootPcr } from './policy.js'

const limits = { profiles: 32, values: 64, rules: 64, digests: 64, attestEvery: 1000 } as const

/** A policy out of the values of its document. @throws EnrollmentError PCR_POLICY_INVALID */
export function decodePcrPolicy(value: unknown): PcrPolicy {
  try {
    const { pcrs, events = {}, eventLog = false, ...rest } = document(value, '')
    const { secureBoot, require = [], only = [], forbid = [] } = events
    const rules = { secureBoot: secureBoot === 'on', require, only, forbid }
    const hasRules = rules.secureBoot || require.length + only.length + forbid.length > 0
    const policy = { ...rest, pcrs: registersOf(pcrs), events: rules, eventLog: eventLog || hasRules }
    requireCovered(policy)
    return policy
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw invalid(cause.message, cause)
  }
}

const digest = parsed((source: string) => {
  if (/^[0-9a-f]{64}$/.test(source)) return source
  throw new ProtocolError('INVALID_MESSAGE', 'expected a SHA-256 as 64 lowercase hex digits, in quotation marks')
})
const instant = parsed((source: string) => parseTime(source).getTime())
const comment = optional(text(200))
const windowed = object({ value: digest, from: optional(instant), until: optional(instant), comment })

/** A value alone, or with the time for which it is good. */
const acceptedValue: Decoder<AcceptedValue> = (value, path) => {
  if (typeof value !== 'object') return { value: digest(value, path) }
  const { comment: _, ...accepted } = windowed(value, path)
  const { from = -Infinity, until = Infinity } = accepted
  if (from < until) return accepted
  throw new ProtocolError('INVALID_MESSAGE', `${path}: it ends before it begins`)
}

const register: Decoder<'any' | readonly AcceptedValue[]> = (value, path) => {
  return value === 'any' ? 'any' : list(acceptedValue, limits.values)(value, path)
}

const pcrKey = word(...Array.from({ length: 24 }, (_, index) => String(index)))
const eventRule: Decoder<EventRule> = object({ pcr: integer(0, 23), digests: list(digest, limits.digests), comment })
const rules = optional(list(eventRule, limits.rules))
const events = object({ secureBoot: optional(word('on')), require: rules, only: rules, forbid: rules })

const document = object({
  name: parsed((source: string) => {
    if (/^[a-z0-9][a-z0-9-]{0,63}$/.test(source)) return source
    throw new ProtocolError('INVALID_MESSAGE', 'expected a name of lowercase letters, digits and dashes')
  }),
  mode: word(...pcrPolicyModes),
  profiles: list(parsed(parseProfileName), limits.profiles),
  attestEvery: optional(integer(1, limits.attestEvery)),
  pcrs: record(register, 24, pcrKey),
  events: optional(events),
  eventLog: optional(boolean),
})

function registersOf(pcrs: ReturnType<typeof document>['pcrs']): PcrPolicy['pcrs'] {
  return new Map(Object.entries(pcrs).map(([index, accepted]) => [Number(index), accepted]))
}

/** A rule on a register that is not quoted would rest on what somebody says. */
function requireCovered({ pcrs, events, profiles }: Pick<PcrPolicy, 'pcrs' | 'events' | 'profiles'>): void {
  if (pcrs.size === 0) throw invalid('pcrs: expected at least one register, or no quote shows anything')
  if (profiles.length === 0) throw invalid('profiles: expected at least one, or it holds for nobody')
  const rules = [...events.require, ...events.only, ...events.forbid]
  const uncovered = [...rules.map(({ pcr }) => pcr), ...(events.secureBoot ? [secureBootPcr] : [])].find(
    (index) => !pcrs.has(index),
  )
  if (uncovered !== undefined) throw invalid(`events: a rule on PCR ${uncovered}, which pcrs does not quote`)
  if ([...pcrs.values()].every((accepted) => accepted === 'any') && rules.length === 0 && !events.secureBoot) {
    throw invalid('pcrs: expected values or rules for some register, or everything would be good')
  }
  const empty = rules.find(({ digests }) => digests.length === 0)
  if (empty !== undefined) throw invalid(`events: a rule on PCR ${empty.pcr} without a digest`)
}

function invalid(problem: string, cause?: Error): EnrollmentError {
  return new EnrollmentError('PCR_POLICY_INVALID', problem, { cause })
}
