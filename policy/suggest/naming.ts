import { variableFor } from '../generalise.js'
import type { Levels } from '../matching/containment.js'
import { renderTemplate } from '../matching/template.js'
import type { DeviceAttributes, TopicTemplate } from '../policy.js'

/** A template as it stands in the file, level by level. */
export function writtenLevels(template: TopicTemplate): Levels {
  return template.map((level) => {
    if (typeof level === 'string') return level
    return level.device === 'id' ? '${device.id}' : `\${device.labels.${level.label}}`
  })
}

/**
 * How a template would have to stand in the file to match just this topic or filter of the device: its words and
 * variables stay, and where it has a wildcard comes what was seen there. `labels`: those that every device of the role
 * has, for a variable without a value takes its role away. Undefined where the template does not match.
 */
export function named(
  levels: Levels,
  template: TopicTemplate,
  device: DeviceAttributes,
  labels: ReadonlySet<string>,
): Levels | undefined {
  const [written, rendered] = [writtenLevels(template), renderTemplate(template, device)]
  const isOpen = rendered.at(-1) === '#'
  if (isOpen ? levels.length < rendered.length - 1 : levels.length !== rendered.length) return undefined
  const names: string[] = []
  for (const [at, level] of levels.entries()) {
    const expected = isOpen && at >= rendered.length - 1 ? '#' : rendered[at]
    if (expected !== '+' && expected !== '#') {
      if (level !== expected) return undefined
      names.push(written[at] ?? level)
    } else {
      if (level === '#' && expected === '+') return undefined
      if (at === 0 && level.startsWith('$')) return undefined
      names.push(nameOf(level, device, labels))
    }
  }
  return names
}

function nameOf(level: string, device: DeviceAttributes, labels: ReadonlySet<string>): string {
  const known = Object.fromEntries(Object.entries(device.labels).filter(([label]) => labels.has(label)))
  const variable = variableFor(level, { ...device, labels: known })
  if (variable !== undefined) return variable
  return level.includes('${') ? '+' : level // a device can say what would be a variable in the file
}
