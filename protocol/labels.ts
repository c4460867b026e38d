import type { Labels } from './identity.js'

/** A label, never something that the object inherits (`constructor`). */
export function ownLabel(labels: Labels, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined
}

/** Whether all that is wanted is among the labels. */
export function hasLabels(labels: Labels, wanted: Labels): boolean {
  for (const name of Object.keys(wanted)) if (ownLabel(labels, name) !== wanted[name]) return false
  return true
}
