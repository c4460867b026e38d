import type { Contestant, Setting } from './contestant.js'
import { type NodeBroker, startNodeBroker } from './node-broker.js'

/** `committed` is what a service does by default: strict, and each record commits to its message's payload. */
export type Mode = 'strict' | 'relaxed' | 'committed'

const modes: readonly Mode[] = ['strict', 'relaxed', 'committed']

export const touchmark: readonly Contestant[] = modes.map((mode) => ({
  name: `touchmark-${mode}`,
  missing: () => undefined,
  start: (setting) => startTouchmark(mode, setting),
}))

/** Its log is in `audit/` of the folder. */
export function startTouchmark(mode: Mode, setting: Setting): Promise<NodeBroker> {
  return startNodeBroker(new URL('./touchmark-process.js', import.meta.url), [mode], setting)
}
