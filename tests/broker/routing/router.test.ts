import assert from 'node:assert/strict'
import test from 'node:test'
import { filterMatches, parseTopicName, topicLevels, type TopicName } from '#protocol'
import { Router } from '../../../broker/routing/router.js'
import type { Reception, Subscription } from '../../../broker/subscription.js'
import { seeded } from '../../seeded.js'
import { randomFilter, randomName, subscriptionTo } from './topics.js'

function routerOf(...filters: readonly string[]): Router<string> {
  const router = new Router<string>()
  for (const filter of filters) router.add(subscriptionTo(filter), filter)
  return router
}

const reached = (router: Router<string>, topic: string) =>
  router
    .match(parseTopicName(topic))
    .direct.map(({ subscriber }) => subscriber)
    .sort()

test('matches level by level: + one, # any number with the parent, empty levels of their own', () => {
  const router = routerOf('a/b', 'a/+', 'a/#', '+/b', '#', '/a', '+/+', 'a//b')
  assert.deepEqual(reached(router, 'a/b'), ['#', '+/+', '+/b', 'a/#', 'a/+', 'a/b'])
  assert.deepEqual(reached(router, 'a'), ['#', 'a/#'])
  assert.deepEqual(reached(router, '/a'), ['#', '+/+', '/a'])
  assert.deepEqual(reached(router, 'a//b'), ['#', 'a/#', 'a//b'])
})

test('wildcards in the first level never reach $ topics', () => {
  assert.deepEqual(reached(routerOf('#', '+/x', '$ctl/#', '$ctl/+'), '$ctl/x'), ['$ctl/#', '$ctl/+'])
})

test('names of object properties are ordinary levels', () => {
  const router = routerOf('__proto__', 'constructor', 'toString/#')
  assert.deepEqual(reached(router, '__proto__'), ['__proto__'])
  assert.deepEqual(reached(router, 'hasOwnProperty'), [])
})

test('topics as deep as they may be are matched', () => {
  const deep = Array.from({ length: 128 }, () => 'x').join('/')
  assert.deepEqual(reached(routerOf(deep, 'x/#'), deep), [deep, 'x/#'].sort())
})

test('a change of subscriptions is seen by topics that were asked for before', () => {
  const router = routerOf('a')
  assert.deepEqual(reached(router, 'a'), ['a'])
  router.add(subscriptionTo('+'), '+')
  assert.deepEqual(reached(router, 'a'), ['+', 'a'])
  router.remove(subscriptionTo('a'), 'a')
  router.remove(subscriptionTo('never/there'), 'x')
  router.remove(subscriptionTo('+'), 'another subscriber')
  assert.deepEqual(reached(router, 'a'), ['+'])
})

test('a topic keeps its routes at hand while subscriptions elsewhere come and go', () => {
  const router = routerOf('a/b')
  const routes = router.match(parseTopicName('a/b'))
  router.add(subscriptionTo('a/c/#'), 's')
  router.add(subscriptionTo('a/+/b'), 's')
  router.remove(subscriptionTo('a/+/b'), 's')
  assert.equal(router.match(parseTopicName('a/b')), routes)
})

test('overlapping subscriptions reach their subscriber once, with all that they ask for together', () => {
  const router = new Router<string>()
  router.add(subscriptionTo('a/#', { qos: 2, identifier: 7 }), 's')
  router.add(subscriptionTo('a/b', { qos: 0, retainAsPublished: true, identifier: 7 }), 's')
  router.add(subscriptionTo('+/b', { qos: 1 }), 's')
  const [match, ...others] = router.match(parseTopicName('a/b')).direct
  assert.deepEqual(others, [])
  assert.deepEqual(match?.reception, { qos: 2, retainAsPublished: true, identifiers: [7, 7] })
})

test('what a subscriber published itself comes back by those of its subscriptions that are not no-local', () => {
  const router = new Router<string>()
  router.add(subscriptionTo('a', { qos: 2, noLocal: true, identifier: 1 }), 's')
  const own = () => router.match(parseTopicName('a')).direct[0]?.ownReception
  assert.equal(own(), undefined)
  router.add(subscriptionTo('#', { qos: 1, identifier: 2 }), 's')
  assert.deepEqual(own(), { qos: 1, retainAsPublished: false, identifiers: [2] })
  router.add(subscriptionTo('#', { qos: 1, noLocal: true }), 's')
  assert.equal(own(), undefined)
  assert.equal(router.match(parseTopicName('a')).direct[0]?.reception.qos, 2)
})

test('a subscription takes the place of its predecessor, and a shared one stands beside it', () => {
  const router = new Router<string>()
  router.add(subscriptionTo('a', { qos: 2 }), 's')
  router.add(subscriptionTo('a', { qos: 1 }), 's')
  router.add(subscriptionTo('a', { qos: 0, share: 'g' }), 's')
  const { direct, groups } = router.match(parseTopicName('a'))
  assert.deepEqual(
    direct.map(({ reception }) => reception.qos),
    [1],
  )
  assert.deepEqual(
    groups.map(({ share, filter, size }) => [share, filter, size]),
    [['g', 'a', 1]],
  )
  router.remove(subscriptionTo('a'), 's')
  assert.deepEqual(reached(router, 'a'), [])
  assert.equal(router.match(parseTopicName('a')).groups.length, 1)
})

test('groups are told apart by name and filter, and go with their last member', () => {
  const router = new Router<string>()
  for (const [share, filter] of [['g', 'a/#'] as const, ['g', 'a/b'] as const, ['h', 'a/b'] as const]) {
    router.add(subscriptionTo(filter, { share }), 's')
    router.add(subscriptionTo(filter, { share }), 't')
  }
  const groups = () => router.match(parseTopicName('a/b')).groups.map(({ share, filter }) => `${share} ${filter}`)
  assert.deepEqual(groups().sort(), ['g a/#', 'g a/b', 'h a/b'])
  router.remove(subscriptionTo('a/b', { share: 'g' }), 's')
  assert.equal(groups().length, 3)
  router.remove(subscriptionTo('a/b', { share: 'g' }), 't')
  assert.deepEqual(groups().sort(), ['g a/#', 'h a/b'])
})

test('who joins or leaves a group is seen by routes that were given out before', () => {
  const router = new Router<string>()
  router.add(subscriptionTo('a', { share: 'g' }), 's')
  const routes = router.match(parseTopicName('a'))
  router.add(subscriptionTo('a', { share: 'g' }), 't')
  router.remove(subscriptionTo('a', { share: 'g' }), 's')
  assert.equal(router.match(parseTopicName('a')), routes)
  assert.equal(routes.groups[0]?.next(() => 'ready')?.subscriber, 't')
})

test('the same as matching every filter by itself, while thousands of subscriptions come and go', () => {
  const random = seeded(31)
  const router = new Router<string>(50)
  const subscriptions = new Map<string, { readonly subscription: Subscription; readonly subscriber: string }>()
  for (let round = 0; round < 4000; round++) {
    const subscriber = `s${random(8)}`
    const subscription = randomSubscription(random)
    const key = `${subscriber} ${subscription.name}`
    if (random(2) === 0) {
      router.add(subscription, subscriber)
      subscriptions.set(key, { subscription, subscriber })
    } else {
      router.remove(subscription, subscriber)
      subscriptions.delete(key)
    }
    const topic = randomName(random)
    assert.deepEqual(routesBy(router, topic), routesOneByOne([...subscriptions.values()], topic))
  }
  for (const { subscription, subscriber } of subscriptions.values()) router.remove(subscription, subscriber)
  assert.ok(router.isEmpty)
})

function randomSubscription(random: (below: number) => number): Subscription {
  const shared = random(3) === 0
  return subscriptionTo(randomFilter(random), {
    qos: ([0, 1, 2] as const)[random(3)] ?? 0,
    retainAsPublished: random(2) === 0,
    identifier: random(2) === 0 ? undefined : 1 + random(9),
    ...(shared ? { share: `g${random(2)}` } : { noLocal: random(2) === 0 }),
  })
}

/** What is reached, in an order that two ways of finding it have in common. */
interface Reached {
  readonly direct: readonly (readonly [string, Reception | undefined, Reception | undefined])[]
  readonly groups: readonly string[]
}

function routesBy(router: Router<string>, topic: TopicName): Reached {
  const { direct, groups } = router.match(topic)
  return {
    direct: direct
      .map((match) => [match.subscriber, ordered(match.reception), ordered(match.ownReception)] as const)
      .sort(([one], [other]) => one.localeCompare(other)),
    groups: groups.map(({ share, filter, size }) => `${share} ${filter} ${size}`).sort(),
  }
}

function routesOneByOne(
  all: readonly { readonly subscription: Subscription; readonly subscriber: string }[],
  topic: TopicName,
): Reached {
  const matching = all.filter(({ subscription }) => filterMatches(topicLevels(subscription.filter), topicLevels(topic)))
  const direct = matching.filter(({ subscription }) => subscription.share === undefined)
  const subscribers = [...new Set(direct.map(({ subscriber }) => subscriber))].sort()
  const groups = new Map<string, number>()
  for (const { subscription } of matching) {
    const name = `${subscription.share} ${subscription.filter}`
    if (subscription.share !== undefined) groups.set(name, (groups.get(name) ?? 0) + 1)
  }
  return {
    direct: subscribers.map((name) => {
      const own = direct.filter(({ subscriber }) => subscriber === name).map(({ subscription }) => subscription)
      return [name, asOne(own), asOne(own.filter(({ noLocal }) => !noLocal))] as const
    }),
    groups: [...groups].map(([name, size]) => `${name} ${size}`).sort(),
  }
}

function asOne(subscriptions: readonly Subscription[]): Reception | undefined {
  if (subscriptions.length === 0) return undefined
  return ordered({
    qos: ([2, 1, 0] as const).find((qos) => subscriptions.some((subscription) => subscription.qos === qos)) ?? 0,
    retainAsPublished: subscriptions.some(({ retainAsPublished }) => retainAsPublished),
    identifiers: subscriptions.flatMap(({ identifier }) => identifier ?? []),
  })
}

function ordered(reception: Reception | undefined): Reception | undefined {
  return reception && { ...reception, identifiers: [...reception.identifiers].sort() }
}
