import type { Contestant } from './contestant.js'
import { startNodeBroker } from './node-broker.js'

const program = new URL('./touchmark-process.js', import.meta.url)

export const touchmark: readonly Contestant[] = (['strict', 'relaxed'] as const).map((mode) => ({
  name: `touchmark-${mode}`,
  missing: () => undefined,
  start: (setting) => startNodeBroker(program, [mode], setting),
}))
