import assert from 'node:assert/strict'
import test from 'node:test'
import { filterMatches, parseDeviceId } from '#protocol'
import { covered, overlaps } from '../../policy/matching/containment.js'
import type { DeviceAttributes, TopicTemplate } from '../../policy/policy.js'
import { renderTemplate } from '../../policy/matching/template.js'
import { TopicMatcher } from '../../policy/matching/topic-matcher.js'
import { seeded } from '../seeded.js'

const words = ['a', 'b', '', '$a', 'd1', 'oslo', 'constructor'] as const
const variables = [{ device: 'id' }, { device: 'labels', label: 'site' }, { device: 'labels', label: 'room' }] as const

test('a topic of a rule matches and covers without being rendered what its rendering does, and overlaps no less', () => {
  const random = seeded(20261123)
  const one = <T>(list: readonly T[]): T => list[random(list.length)] as T
  const topics = Array.from({ length: 300 }, () => Array.from({ length: 1 + random(4) }, () => one(words)))
  let [matched, within] = [0, 0]
  for (let round = 0; round < 2000; round++) {
    const template: TopicTemplate = [
      ...Array.from({ length: random(4) }, () => one<TopicTemplate[number]>([...words, ...variables, '+'])),
      one<TopicTemplate[number]>([...words, ...variables, '+', '#']),
    ]
    const device: DeviceAttributes = {
      id: parseDeviceId(one(['d1', 'a'])),
      tier: 'tpm',
      labels: { site: one(['oslo', 'b']), room: one(['a', 'constructor']) },
    }
    const matcher = new TopicMatcher(template)
    const filter = renderTemplate(template, device)
    for (const topic of topics) {
      const expected = filterMatches(filter, topic)
      if (expected) matched++
      assert.equal(matcher.matches(topic, device), expected, `${filter.join('/')} and ${topic.join('/')}`)
    }
    const other = Array.from({ length: random(4) }, () => one([...words, '+']))
    const asked = other.length > 0 && random(2) === 0 ? other : [...other, '#']
    const about = `${filter.join('/')} and ${asked.join('/')}`
    if (overlaps(asked, filter)) assert.ok(matcher.mayOverlap(asked, device), about)
    const isWithin = covered(asked, [filter])
    if (isWithin) within++
    assert.equal(matcher.covers(asked, device), isWithin, about)
  }
  assert.ok(matched > 1000 && within > 50, `${matched} ${within}`)
})

test('a device without the label of a variable matches nothing, whatever its labels inherit', () => {
  const matcher = new TopicMatcher(['a', { device: 'labels', label: 'constructor' }])
  const device: DeviceAttributes = { id: parseDeviceId('d1'), tier: 'tpm', labels: {} }
  for (const topic of [['a', 'constructor'], ['a', ''], ['a', 'undefined'], ['a']]) {
    assert.equal(matcher.matches(topic, device), false)
  }
})
