import type { DeviceAttributes } from './policy.js'

/** A topic as a rule could name it: a level that is the device's id, or one of its labels, as the variable for it. */
export function generalise(topic: string, device: DeviceAttributes): string {
  return topic
    .split('/')
    .map((level) => variableFor(level, device) ?? level)
    .join('/')
}

/** The id before a label, a label before those behind it in the alphabet; undefined for any other level. */
export function variableFor(level: string, { id, labels }: DeviceAttributes): string | undefined {
  if (level === id) return '${device.id}'
  const label = Object.keys(labels)
    .sort()
    .find((name) => labels[name] === level)
  return label && `\${device.labels.${label}}`
}
