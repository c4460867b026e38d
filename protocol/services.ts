import { boolean, type Decoder, integer, list, object, optional, parsed, record, text } from './decode.js'
import type { Labels } from './identity.js'
import { type DeviceId, isName, parseDeviceId, parseName } from './ids.js'
import { parseTopicName, type TopicFilter, type TopicName } from './topics.js'

/*
 * What devices say that they offer to others, and how those ask for it.
 */

/** A service as its device reports it: a fact `service.NAME` with the value `[HOST:]PORT/PROTOCOL`, `4840/tcp` for one. */
export interface ReportedService {
  readonly service: string
  readonly protocol: string
  readonly port: number
  /** Where the device says that it is reached; nothing else is ever said of where it is. An IPv6 address stands in brackets. */
  readonly host?: string
}

/** The same with what the service itself knows of the device, and by which policies grant it. */
export interface OfferedService extends ReportedService {
  readonly device: DeviceId
  readonly labels: Labels
}

/** What a device has offered until now, and what it offers from now on. */
export interface OfferChange {
  readonly before: readonly OfferedService[]
  readonly after: readonly OfferedService[]
}

/** On a page, and how long a way it can be to say what is wanted of one. */
export const servicePageLimits = { maxServices: 100, maxAnswerBytes: 1024 * 1024 } as const

const prefix = 'service.'
const place = /^(?:([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]):)?([1-9]\d{0,4})\/(.+)$/

/**
 * The services among what a device says of itself, by their names. Facts are text of anybody's choice: one that is not of
 * this form, or whose name fits into no topic level, is no service and stays what it was, a fact for people to read.
 */
export function servicesIn(reported: Labels): readonly ReportedService[] {
  return Object.keys(reported)
    .filter((name) => name.startsWith(prefix))
    .toSorted()
    .flatMap((name) => readService(name.slice(prefix.length), reported[name] ?? ''))
}

function readService(service: string, value: string): readonly ReportedService[] {
  const [, host, digits, protocol = ''] = place.exec(value) ?? []
  const port = Number(digits)
  if (!isName(service) || !isName(protocol) || !(port <= 65_535)) return []
  return [{ service, protocol, port, ...(host !== undefined && { host }) }]
}

/** As it stands in the fact, without the name. */
export function formatServicePlace({ host, port, protocol }: ReportedService): string {
  return `${host === undefined ? '' : `${host}:`}${port}/${protocol}`
}

/** The tree of topics in which devices are told of the services of others. Nobody but the service itself speaks there. */
export const serviceTopicRoot = '$touchmark'

/** Of its retained topic: `$touchmark/services/DEVICE/SERVICE`. */
export function topicOfService({ device, service }: Pick<OfferedService, 'device' | 'service'>): TopicName {
  return parseTopicName(`${serviceTopicRoot}/services/${device}/${service}`)
}

/** Whether the filter is one of that tree, which no wildcard at the beginning reaches [MQTT-4.7.2-1]. */
export function asksForServices(filter: TopicFilter): boolean {
  const [root, branch = ''] = filter.split('/', 2)
  return root === serviceTopicRoot && ['services', '+', '#'].includes(branch)
}

export interface FoundService extends OfferedService {
  /** Whether its device is connected to the broker now. */
  readonly online: boolean
}

/** Answer to `GET /v1/services`. */
export interface ServicePage {
  readonly services: readonly FoundService[]
  /** To be given as `after` for the next page; absent on the last one. */
  readonly next?: string
}

export const decodeServicePage: Decoder<ServicePage> = object({
  services: list(
    object({
      device: parsed(parseDeviceId),
      labels: record(text(64), 64),
      service: parsed(parseWord),
      protocol: parsed(parseWord),
      port: integer(1, 65_535),
      host: optional(text(256)),
      online: boolean,
    }),
    servicePageLimits.maxServices,
  ),
  next: optional(text(256)),
})

function parseWord(text: string): string {
  return parseName(text, 'a name')
}
