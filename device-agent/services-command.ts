import { type FoundService, formatServicePlace, type Labels } from '#protocol'
import { findServices } from './services.js'
import type { Surroundings } from './surroundings.js'

export interface ServicesOptions {
  readonly data: string
  readonly output: 'text' | 'json'
  readonly label?: Labels
  readonly service?: string
  readonly protocol?: string
}

/** `touchmark-agent services`: what other devices offer, as far as this one may see it; one a line. */
export async function servicesCommand(
  { data, output, label, service, protocol }: ServicesOptions,
  { out, openTpm }: Surroundings,
): Promise<void> {
  const wanted = {
    ...(label !== undefined && { labels: label }),
    ...(service !== undefined && { service }),
    ...(protocol !== undefined && { protocol }),
  }
  const services = await findServices(data, wanted, openTpm)
  if (output === 'json') return out(JSON.stringify(services, undefined, 2))
  for (const one of services) out(asLine(one))
}

function asLine(found: FoundService): string {
  return `${found.device}  ${found.service}  ${formatServicePlace(found)}  ${found.online ? 'online' : 'offline'}`
}
