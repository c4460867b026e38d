import type { Contestant, Setting } from './contestant.js'
import { type NodeBroker, startNodeBroker } from './node-broker.js'

export type Mode = 'strict' | 'relaxed'

const modes: readonly Mode[] = ['strict', 'relaxed']

export const touchmark: readonly Contestant[] = modes.map((mode) => ({
  name: `touchmark-${mode}`,
  missing: () => undefined,
  start: (setting) => startTouchmark(mode, setting),
}))

/** Its log is in `audit/` of the folder. */
export function startTouchmark(mode: Mode, setting: Setting): Promise<NodeBroker> {
  return startNodeBroker(new URL('./touchmark-process.js', import.meta.url), [mode], setting)
}
