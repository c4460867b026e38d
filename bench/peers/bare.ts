import type { Contestant } from './contestant.js'
import { startNodeBroker } from './node-broker.js'

const program = new URL('./bare-process.js', import.meta.url)

/** No broker, and the most that one on Node could reach here: see bare-process.ts. */
export const bare: Contestant = {
  name: 'bare-node',
  missing: () => undefined,
  start: (setting) => startNodeBroker(program, [], setting),
}
