import { isName, type Labels, parseDeviceId } from '#protocol'
import { PolicyError } from '../errors.js'
import type { Qos } from '../policy.js'
import { integer, mismatch, named, parsed, type Read, text } from './fields.js'

/*
 * Values that several parts of a policy file have.
 */

export const actions = ['publish', 'will', 'subscribe', 'receive'] as const

/** No packet of MQTT has more (MQTT 3.1.1 §2.2.3). */
export const maxPayloadBytes = 268_435_455

/** A label that cannot stand in a topic is refused here as at enrollment. */
export const readLabels: Read<Labels> = (node) => {
  const labels = named((label, value, keyAt) => {
    if (!isName(label)) throw new PolicyError('POLICY_INVALID_VALUE', keyAt, 'not a label name')
    return name(value)
  })(node)
  return Object.fromEntries(labels)
}

export const name: Read<string> = (node) => {
  const value = text(node)
  if (!isName(value)) throw mismatch(node, '1 to 64 of A-Z a-z 0-9 . _ -')
  return value
}

export const deviceId = parsed(parseDeviceId, 'POLICY_INVALID_VALUE')
export const count = integer(1, 64)

export const readQos: Read<Qos> = (node) => {
  const value = integer(0, 2)(node)
  return value === 0 ? 0 : value === 1 ? 1 : 2
}

/** With its zone: what a day or an hour means must not depend on where the server stands. */
export const time = parsed(parseTime, 'POLICY_INVALID_VALUE')

/** RFC 3339 → milliseconds since 1970. @throws TypeError */
export function parseTime(source: string): number {
  const [, date = '', clock = ''] =
    /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)(?:Z|[+-]\d\d:\d\d)$/.exec(source) ?? []
  const moment = Date.parse(source)
  // Date.parse takes 30 February for 2 March, and hour 24.
  const written = Date.parse(`${date}T${clock}Z`)
  if (
    Number.isNaN(moment) ||
    Number.isNaN(written) ||
    !new Date(written).toISOString().startsWith(`${date}T${clock.slice(0, 8)}`)
  ) {
    throw new TypeError(`expected a time such as 2027-01-01T00:00:00Z, got ${JSON.stringify(source)}`)
  }
  return moment
}
