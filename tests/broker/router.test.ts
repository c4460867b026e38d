import assert from 'node:assert/strict'
import test from 'node:test'
import { parseTopicFilter, parseTopicName } from '#protocol'
import { Router } from '../../broker/router.js'

function routerOf(...filters: readonly string[]): Router<string> {
  const router = new Router<string>()
  for (const filter of filters) router.add(parseTopicFilter(filter), filter, 0)
  return router
}

const reached = (router: Router<string>, topic: string) =>
  router
    .match(parseTopicName(topic))
    .map(({ subscriber }) => subscriber)
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

test('a subscriber with overlapping filters is found once, with the highest QoS', () => {
  const router = new Router<string>()
  router.add(parseTopicFilter('a/#'), 's', 1)
  router.add(parseTopicFilter('a/b'), 's', 0)
  assert.deepEqual(router.match(parseTopicName('a/b')), [{ subscriber: 's', qos: 1 }])
})

test('a change of subscriptions is seen by topics that were asked for before', () => {
  const router = routerOf('a')
  assert.deepEqual(reached(router, 'a'), ['a'])
  router.add(parseTopicFilter('+'), '+', 0)
  assert.deepEqual(reached(router, 'a'), ['+', 'a'])
  router.remove(parseTopicFilter('a'), 'a')
  router.remove(parseTopicFilter('never/there'), 'x')
  assert.deepEqual(reached(router, 'a'), ['+'])
})
