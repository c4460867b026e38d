import { isName, ownLabel, parseShare, parseTopicFilter, topicLimits } from '#protocol'
import type { DeviceAttributes, TopicTemplate, Variable } from '../policy.js'
import type { Levels } from './containment.js'

/** Of the value of a variable, which `isName` holds to it: letters of one byte each. */
export const maxValueBytes = 64

/** `fleet/${device.labels.site}/${device.id}/state`. @throws ProtocolError INVALID_TOPIC, or TypeError for its variables */
export function parseTemplate(source: string): TopicTemplate {
  const filter = parseTopicFilter(source)
  const name = parseShare(filter) // `$share/<group>/<filter>` grants one group, which is named and never a wildcard
  if (!name.valid) throw new TypeError(name.problem)
  return filter.split('/').map((level) => (level.includes('${') ? parseVariable(level) : level))
}

/**
 * The filter for one device. Values are put into parsed levels, never into text, and each fits into exactly one level.
 * @throws TypeError naming the attribute that is missing or does not fit
 */
export function renderTemplate(template: TopicTemplate, device: DeviceAttributes): Levels {
  const levels = template.map((level) => (typeof level === 'string' ? level : renderVariable(level, device)))
  const length = levels.reduce((sum, level) => sum + level.length, levels.length - 1)
  const isSurelyShort = length * maxBytesOfCharacter <= topicLimits.maxBytes
  if (!isSurelyShort && bytesOf(levels.join('/')) > topicLimits.maxBytes) {
    throw new TypeError(`the filter for this device is over ${topicLimits.maxBytes} bytes`)
  }
  return levels
}

/** The bytes of a filter for the device whose values are the longest. */
export function maxBytesOf(template: TopicTemplate): number {
  const most = (level: string | Variable) => (typeof level === 'string' ? bytesOf(level) : maxValueBytes)
  return template.reduce((sum, level) => sum + most(level), template.length - 1)
}

/** In UTF-8, of what JavaScript counts as one. */
const maxBytesOfCharacter = 3

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length
}

/** `${device.id}` or `${device.labels.NAME}`. @throws TypeError */
export function parseVariable(level: string): Variable {
  if (level === '${device.id}') return { device: 'id' }
  const label = /^\$\{device\.labels\.([^{}]+)\}$/.exec(level)?.[1]
  if (label === undefined || !isName(label)) {
    throw new TypeError(`${JSON.stringify(level)} is not \${device.id} or \${device.labels.NAME} as a whole level`)
  }
  return { device: 'labels', label }
}

/** Whether the device has the attribute, and it fits into one level. */
export function hasValue(variable: Variable, device: DeviceAttributes): boolean {
  const value = valueOf(variable, device)
  return value !== undefined && isName(value)
}

/** @throws TypeError naming the attribute */
function renderVariable(variable: Variable, device: DeviceAttributes): string {
  const name = variable.device === 'id' ? 'device.id' : `device.labels.${variable.label}`
  const value = valueOf(variable, device)
  if (value === undefined) throw new TypeError(`${name} is missing`)
  if (!isName(value)) throw new TypeError(`${name} does not fit into one topic level`)
  return value
}

/** As it is; whether it fits into a level is another question. */
export function valueOf(variable: Variable, device: DeviceAttributes): string | undefined {
  return variable.device === 'id' ? device.id : ownLabel(device.labels, variable.label)
}
