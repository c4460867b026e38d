import type { TopicFilter, TopicName } from '#protocol'
import type { Reception, Subscription } from '../subscription.js'
import { LevelTree } from './level-tree.js'
import { ShareGroup } from './share-group.js'
import { TopicCache } from './topic-cache.js'

/** A subscriber that a message reaches, once, however many of its subscriptions match (MQTT 5.0 §3.3.4). */
export interface Match<Subscriber> {
  readonly subscriber: Subscriber
  readonly reception: Reception
  /** The same for what the subscriber itself has published; undefined where it asked not to get that back (no-local). */
  readonly ownReception: Reception | undefined
}

/** Where the messages of one topic go: to each of the one kind, and to one member of each of the other. */
export interface Routes<Subscriber> {
  readonly direct: readonly Match<Subscriber>[]
  readonly groups: readonly ShareGroup<Subscriber>[]
}

/** Which subscriptions a topic name reaches. A trie over filter levels, behind a cache of the topics asked for lately. */
export class Router<Subscriber> {
  readonly #places = new LevelTree<Place<Subscriber>>()
  readonly #cache: TopicCache<Routes<Subscriber>>

  /** `maxCachedLevels`: of all topics whose routes are kept at hand, each at a few hundred bytes. */
  constructor(maxCachedLevels = 100_000) {
    this.#cache = new TopicCache(maxCachedLevels)
  }

  /** The routes as of now. Groups stay the same objects while they have members, and change with them. */
  match(topic: TopicName): Routes<Subscriber> {
    const known = this.#cache.get(topic)
    if (known) return known
    const routes = routesThrough(this.#places.filtersMatching(topic))
    if (isKept(topic, routes)) this.#cache.set(topic, routes)
    return routes
  }

  /** Adds the subscription, or lets it take the place of the subscriber's one of the same name [MQTT-3.8.4-3]. */
  add(subscription: Subscription, subscriber: Subscriber): void {
    const { filter, share } = subscription
    const place = this.#placeFor(filter)
    const reception = receptionOf(subscription)
    if (share === undefined) {
      const ownReception = subscription.noLocal ? undefined : reception
      place.direct.set(subscriber, { subscriber, reception, ownReception })
      this.#cache.forget(filter)
      return
    }
    let group = place.groups.get(share)
    if (!group) {
      place.groups.set(share, (group = new ShareGroup(share, filter)))
      this.#cache.forget(filter)
    }
    group.add({ subscriber, reception })
  }

  remove({ filter, share }: Pick<Subscription, 'filter' | 'share'>, subscriber: Subscriber): void {
    const place = this.#places.get(filter)
    if (!place) return
    if (share === undefined) {
      if (place.direct.delete(subscriber)) this.#cache.forget(filter)
    } else {
      const group = place.groups.get(share)
      group?.remove(subscriber)
      if (group?.size === 0) {
        place.groups.delete(share)
        this.#cache.forget(filter)
      }
    }
    if (place.direct.size === 0 && place.groups.size === 0) this.#places.delete(filter)
  }

  /** Whether there is no subscription at all, and nothing left of earlier ones. */
  get isEmpty(): boolean {
    return this.#places.isEmpty
  }

  #placeFor(filter: TopicFilter): Place<Subscriber> {
    let place = this.#places.get(filter)
    if (!place) this.#places.set(filter, (place = { direct: new Map(), groups: new Map() }))
    return place
  }
}

/** All subscriptions with one filter. */
interface Place<Subscriber> {
  readonly direct: Map<Subscriber, Match<Subscriber>>
  /** By share name. */
  readonly groups: Map<string, ShareGroup<Subscriber>>
}

function receptionOf({ qos, retainAsPublished, identifier }: Subscription): Reception {
  return { qos, retainAsPublished, identifiers: identifier === undefined ? [] : [identifier] }
}

function routesThrough<S>(places: readonly Place<S>[]): Routes<S> {
  const direct = new Map<S, Match<S>>()
  const groups: ShareGroup<S>[] = []
  for (const place of places) {
    for (const match of place.direct.values()) {
      const other = direct.get(match.subscriber)
      direct.set(match.subscriber, other ? together(other, match) : match)
    }
    groups.push(...place.groups.values())
  }
  return { direct: [...direct.values()], groups }
}

function together<S>(one: Match<S>, other: Match<S>): Match<S> {
  const reception = merged(one.reception, other.reception)
  const own = one.ownReception && other.ownReception ? merged(one.ownReception, other.ownReception) : undefined
  return { subscriber: one.subscriber, reception, ownReception: own ?? one.ownReception ?? other.ownReception }
}

/** Equal identifiers of several subscriptions are all sent (MQTT 5.0 §3.3.4). */
function merged(one: Reception, other: Reception): Reception {
  return {
    qos: one.qos > other.qos ? one.qos : other.qos,
    retainAsPublished: one.retainAsPublished || other.retainAsPublished,
    identifiers: [...one.identifiers, ...other.identifiers],
  }
}

/**
 * Long names are looked up each time, for one device could fill the memory with them; and so are routes to very many,
 * for to deliver to them costs more than to find them.
 */
function isKept(topic: TopicName, { direct }: Routes<unknown>): boolean {
  return topic.length <= 512 && direct.length <= 1000
}
