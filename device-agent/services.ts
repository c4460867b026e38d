import { decodeServicePage, type FoundService, type Labels, routes, servicePageLimits } from '#protocol'
import { DeviceKeys, type OpenTpm } from './device-keys.js'
import { nodeDisk } from './disk.js'
import { openClock } from './open-clock.js'
import { openOwnService } from './own-service.js'
import type { ServiceConnection } from './service.js'
import { StateFolder } from './state-folder.js'
import { notEnrolled } from './status-command.js'

/** Which services are asked for; all of it must hold, and a name may end with `*`. */
export interface ServicesWanted {
  /** Of the devices that offer them. */
  readonly labels?: Labels
  readonly service?: string
  readonly protocol?: string
}

/** A service that gives page after page would never end it. */
const maxPages = 1000

/**
 * Services of other devices, as far as the policy lets this one see them, asked with the certificate that is in use in
 * this folder; an agent may work there meanwhile. @throws AgentError
 */
export async function findServices(
  folder: string,
  wanted: ServicesWanted,
  openTpm: OpenTpm,
): Promise<readonly FoundService[]> {
  const state = new StateFolder(folder, nodeDisk)
  const generation = await state.current()
  if (generation === undefined) throw notEnrolled(folder)
  const keys = new DeviceKeys(openTpm)
  const key = await keys.open(generation.key)
  try {
    const limits = { timeoutMs: 30_000, maxAnswerBytes: servicePageLimits.maxAnswerBytes }
    const { service } = await openOwnService(generation, key, { clock: await openClock(state), limits })
    try {
      return await allPages(service, wanted)
    } finally {
      service.close()
    }
  } finally {
    await key.close()
    await keys.close()
  }
}

async function allPages(
  connection: ServiceConnection,
  { labels = {}, service, protocol }: ServicesWanted,
): Promise<readonly FoundService[]> {
  const { method, path } = routes.discoverServices
  const query = new URLSearchParams()
  for (const [label, value] of Object.entries(labels)) query.set(`label.${label}`, value)
  if (service !== undefined) query.set('service', service)
  if (protocol !== undefined) query.set('protocol', protocol)
  const found: FoundService[] = []
  for (let page = 0; page < maxPages; page++) {
    const { answer } = await connection.ask({ method, path: `${path}?${query.toString()}` }, decodeServicePage)
    found.push(...answer.services)
    if (answer.next === undefined) break
    query.set('after', answer.next)
  }
  return found
}
