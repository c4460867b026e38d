import type { Broker } from '#broker'
import type { ServiceDirectory } from './directory.js'

/** Has the broker tell devices which services there are, and of each change of that. */
export function followDirectory(
  broker: Pick<Broker, 'servicesChanged'>,
  directory: Pick<ServiceDirectory, 'list' | 'onChange'>,
): void {
  for (const offer of directory.list()) broker.servicesChanged({ before: [], after: [offer] })
  directory.onChange((change) => broker.servicesChanged(change))
}
