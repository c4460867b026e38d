import { sourceOf } from '#protocol'
import type { BrokerLimits } from '../limits.js'

/** Why a connection loses its place: someone else needs it, it has taken too long over a step, or the service stops. */
export type Eviction = 'quota' | 'timeout' | 'shutdown'

/**
 * The connections that are not past CONNACK. Anyone can open one, and has proved nothing yet, so there are never more
 * than a fixed number of them. When all places are taken the source that holds the most gives up its oldest; hence one
 * source with ten thousand costs itself, and whoever comes from elsewhere is let in at once.
 */
export class HalfOpen {
  readonly #limits: BrokerLimits
  readonly #now: () => number
  readonly #bySource = new BySource()
  /** How long a handshake takes that comes to its end, by the last few, in milliseconds. */
  #usual = 0

  constructor(limits: BrokerLimits, now: () => number) {
    this.#limits = limits
    this.#now = now
  }

  /** Undefined for one who has to go at once. `evicted` is called when the place is lost later. */
  enter(address: string, evicted: (why: Eviction) => void): Place | undefined {
    const place = new Place(this.#bySource, sourceOf(address), this.#now(), evicted)
    if (this.#bySource.size <= this.#limits.maxUnconnected) return place
    const oldest = this.#bySource.oldestOfGreediest
    // Among equals the older ones are left the time that an honest handshake needs now. Else a fleet that comes back all at
    // once, behind one address or many, would push out those that are nearly done, for ever.
    const isYoung = this.#now() - (oldest?.since ?? 0) < this.#patience
    if (oldest === place || (isYoung && this.#bySource.isGreediest(place.source))) {
      place.leave()
      return undefined
    }
    oldest?.lose('quota')
    return place
  }

  /** Its handshake is done. */
  finished({ since }: Place): void {
    this.#usual += (this.#now() - since - this.#usual) / 16
  }

  /** Twice what it usually takes: more where we are what they wait for, and never more than a handshake may take. */
  get #patience(): number {
    const { crowdedOutAfterSeconds, handshakeSeconds } = this.#limits
    return Math.min(Math.max(2 * this.#usual, crowdedOutAfterSeconds * 1000), handshakeSeconds * 1000)
  }

  /** Ends those that take too long; called every now and then. */
  sweep(): void {
    for (const place of this.#bySource.all()) if (place.isLate(this.#now())) place.lose('timeout')
  }

  /** Ends all of them: nobody will sweep any more, and each would keep the process running. */
  end(): void {
    for (const place of this.#bySource.all()) place.lose('shutdown')
  }
}

/** One place among the half-open, from accepting a connection until it is established or gone. */
export class Place {
  readonly since: number
  readonly #bySource: BySource
  readonly #evicted: (why: Eviction) => void
  #source: string
  #deadline = Infinity
  #left = false

  constructor(bySource: BySource, source: string, since: number, evicted: (why: Eviction) => void) {
    this.#bySource = bySource
    this.#source = source
    this.#evicted = evicted
    this.since = since
    bySource.add(this)
  }

  get source(): string {
    return this.#source
  }

  /** A proxy has said who it really is. */
  move(address: string): void {
    if (this.#left) return
    this.#bySource.remove(this)
    this.#source = sourceOf(address)
    this.#bySource.add(this)
  }

  /** Time by which the step that begins now has to be done. */
  set deadline(time: number) {
    this.#deadline = time
  }

  isLate(now: number): boolean {
    return now > this.#deadline
  }

  lose(why: Eviction): void {
    this.leave()
    this.#evicted(why)
  }

  leave(): void {
    if (!this.#left) this.#bySource.remove(this)
    this.#left = true
  }
}

/** Places by source, and always known: which source holds the most. */
class BySource {
  readonly #places = new Map<string, Set<Place>>()
  /** The sources that hold n places, at index n. */
  readonly #holding: Set<string>[] = []
  #most = 0
  size = 0

  add(place: Place): void {
    const own = this.#places.get(place.source) ?? new Set()
    this.#places.set(place.source, own.add(place))
    this.#count(place.source, own.size - 1, own.size)
    this.size++
  }

  remove(place: Place): void {
    const own = this.#places.get(place.source)
    if (!own?.delete(place)) return
    if (own.size === 0) this.#places.delete(place.source)
    this.#count(place.source, own.size + 1, own.size)
    this.size--
  }

  get oldestOfGreediest(): Place | undefined {
    const [greediest] = this.#holding[this.#most] ?? []
    const [oldest] = (greediest !== undefined && this.#places.get(greediest)) || []
    return oldest
  }

  isGreediest(source: string): boolean {
    return this.#holding[this.#most]?.has(source) ?? false
  }

  /** Ending one of them on the way is fine. */
  *all(): Iterable<Place> {
    for (const own of this.#places.values()) yield* own
  }

  #count(source: string, before: number, after: number): void {
    this.#holding[before]?.delete(source)
    if (after > 0) (this.#holding[after] ??= new Set()).add(source)
    this.#most = Math.max(this.#most, after)
    while (this.#most > 0 && !this.#holding[this.#most]?.size) this.#most--
  }
}
