import { collector, commandFilter, controller, telemetryFilter } from '../fleet.js'

/** The policy of the fleet, as one writes it for a broker that has no policy of its own. */
export interface PlainRights {
  mayPublish(topic: string): boolean
  /** These clients ask for exactly what they are granted. */
  maySubscribe(filter: string): boolean
  mayReceive(topic: string): boolean
}

const known = new Map<string, PlainRights>()

export function rightsOf(client: string): PlainRights {
  const found = known.get(client)
  if (found) return found
  const publish = client === controller ? commandFilter : `fleet/site-7/${client}/#`
  const hear = client === collector ? telemetryFilter : commandFilter
  const [publishLevels, hearLevels] = [publish.split('/'), hear.split('/')]
  const rights = {
    mayPublish: (topic: string) => matches(publishLevels, topic),
    maySubscribe: (filter: string) => filter === hear,
    mayReceive: (topic: string) => matches(hearLevels, topic),
  }
  known.set(client, rights)
  return rights
}

function matches(filter: readonly string[], topic: string): boolean {
  const levels = topic.split('/')
  for (const [index, level] of filter.entries()) {
    if (level === '#') return true
    if (level !== '+' && level !== levels[index]) return false
  }
  return filter.length === levels.length
}
