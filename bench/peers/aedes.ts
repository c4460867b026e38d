import type { Contestant } from './contestant.js'
import { startNodeBroker } from './node-broker.js'

const program = new URL('./aedes-process.js', import.meta.url)

export const aedes: Contestant = {
  name: 'aedes',
  missing: () => undefined,
  start: (setting) => startNodeBroker(program, [], setting),
}
