import type { Device } from '#registry'
import type { DeviceOrder } from '#protocol'
import { ServerError } from '../errors.js'
import type { Test } from '../query/query.js'
import type { Turns } from '../turns.js'
import { Sight, type Sources } from './sight.js'

export interface Wanted {
  /** Whether the one who asks may know of it at all. */
  readonly isTheirs: (device: Device) => boolean
  readonly matches: Test<Sight>
  readonly order: DeviceOrder
  /** Behind this one, as the page before ended. */
  readonly after?: string | undefined
  readonly limit: number
}

export interface Page {
  readonly devices: readonly Sight[]
  /** How many match, on all pages together. */
  readonly count: number
  /** Where the next page begins; absent on the last one. */
  readonly next?: string
}

/**
 * One page of the devices that match. All of them are looked at for every page, in turns with the broker, and no more
 * than two pages are ever kept: a fleet changes while it is read, and a place in an order survives that.
 * @throws ServerError QUERY_INVALID for an `after` that no page gave
 */
export async function listPage(
  devices: readonly Device[],
  sources: Sources,
  { isTheirs, matches, order, after, limit }: Wanted,
  turns: Turns,
): Promise<Page> {
  const placeOf = places[order]
  const from = after === undefined ? undefined : parsePlace(after)
  const found = new Lowest(limit + 1)
  let count = 0
  for (const device of devices) {
    if (turns.isOver) await turns.next()
    if (!isTheirs(device)) continue
    const sight = new Sight(device, sources)
    if (!matches(sight)) continue
    count++
    const placed = { sight, id: device.id, value: placeOf(sight) ?? Infinity }
    if (from === undefined || compare(placed, from) > 0) found.add(placed)
  }
  const lowest = found.all()
  const page = lowest.slice(0, limit)
  const last = page.at(-1)
  const isMore = lowest.length > limit && last !== undefined
  return { devices: page.map(({ sight }) => sight), count, ...(isMore && { next: formatPlace(last) }) }
}

/** Beyond every real time: who is connected is seen later than all who are not, on each page. */
const stillThere = 8.64e15

/** By which number each order goes; those without one come last, and those alike by their ids. */
const places: Readonly<Record<DeviceOrder, (sight: Sight) => number | undefined>> = {
  id: () => 0,
  cert: ({ certificate }) => certificate?.notAfter,
  '-cert': ({ certificate }) => negative(certificate?.notAfter),
  seen: seenPlace,
  '-seen': (sight) => negative(seenPlace(sight)),
}

function seenPlace(sight: Sight): number | undefined {
  return sight.isOnline ? stillThere : sight.seenAt
}

function negative(value: number | undefined): number | undefined {
  return value === undefined ? undefined : -value
}

interface Place {
  readonly value: number
  readonly id: string
}

interface Placed extends Place {
  readonly sight: Sight
}

function compare(one: Place, other: Place): number {
  if (one.value !== other.value) return one.value < other.value ? -1 : 1
  if (one.id === other.id) return 0
  return one.id < other.id ? -1 : 1
}

function formatPlace({ value, id }: Place): string {
  return `${value}~${id}`
}

function parsePlace(text: string): Place {
  const [, value, id] = /^(-?\d{1,16}|Infinity)~([A-Za-z0-9._-]{1,64})$/.exec(text) ?? []
  if (value === undefined || id === undefined) {
    throw new ServerError('QUERY_INVALID', 'after: expected what the page before gave as "next"')
  }
  return { value: Number(value), id }
}

/** The few lowest of many, without keeping the others. */
class Lowest {
  readonly #most: number
  #kept: Placed[] = []
  #highest: Placed | undefined

  constructor(most: number) {
    this.#most = most
  }

  add(placed: Placed): void {
    if (this.#highest !== undefined && compare(placed, this.#highest) > 0) return
    this.#kept.push(placed)
    if (this.#kept.length >= 2 * this.#most) this.#cut()
  }

  all(): readonly Placed[] {
    this.#cut()
    return this.#kept
  }

  #cut(): void {
    this.#kept = this.#kept.toSorted(compare).slice(0, this.#most)
    if (this.#kept.length === this.#most) this.#highest = this.#kept.at(-1)
  }
}
