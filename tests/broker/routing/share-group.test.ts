import assert from 'node:assert/strict'
import test from 'node:test'
import { parseTopicFilter } from '#protocol'
import { type Readiness, ShareGroup } from '../../../broker/routing/share-group.js'
import { seeded } from '../../seeded.js'

const reception = { qos: 0, retainAsPublished: false, identifiers: [] } as const

function groupOf(...subscribers: readonly string[]): ShareGroup<string> {
  const group = new ShareGroup<string>('g', parseTopicFilter('a/#'))
  for (const subscriber of subscribers) group.add({ subscriber, reception })
  return group
}

const ready = (): Readiness => 'ready'

function turns(group: ShareGroup<string>, count: number, readinessOf: (name: string) => Readiness = ready): string {
  return Array.from({ length: count }, () => group.next(readinessOf)?.subscriber ?? '-').join('')
}

test('members take turns', () => {
  assert.equal(turns(groupOf('a', 'b', 'c'), 7), 'abcabca')
})

test('those that are not ready are passed over, and the others go on taking turns', () => {
  const group = groupOf('a', 'b', 'c')
  assert.equal(
    turns(group, 4, (name) => (name === 'b' ? 'later' : 'ready')),
    'acac',
  )
  assert.equal(turns(group, 3), 'abc')
})

test('when none is ready, those that can have it kept take turns; when there is none, nobody gets it', () => {
  const group = groupOf('a', 'b', 'c')
  assert.equal(
    turns(group, 4, (name) => (name === 'a' ? 'never' : 'later')),
    'bcbc',
  )
  assert.equal(
    turns(group, 1, () => 'never'),
    '-',
  )
  assert.equal(turns(groupOf(), 1), '-')
})

test('a newcomer waits for the others to have had their turn, and who leaves takes no turn away', () => {
  const group = groupOf('a', 'b', 'c')
  assert.equal(turns(group, 1), 'a')
  group.add({ subscriber: 'd', reception })
  assert.equal(turns(group, 4), 'bcad')
  group.remove('a')
  assert.equal(turns(group, 3), 'bcd')
  group.remove('b')
  group.remove('never a member')
  assert.equal(turns(group, 3), 'cdc')
  group.remove('d')
  assert.equal(turns(group, 2), 'cc')
})

test('a member that subscribes again keeps its place and receives by the newer subscription', () => {
  const group = groupOf('a', 'b')
  group.add({ subscriber: 'a', reception: { ...reception, qos: 2 } })
  assert.equal(group.size, 2)
  assert.equal(group.next(ready)?.reception.qos, 2)
  assert.equal(turns(group, 2), 'ba')
})

test('whoever comes and goes, nobody waits longer than there are members', () => {
  const random = seeded(9)
  const group = groupOf('a', 'b', 'c')
  const waited = new Map([...'abc'].map((name) => [name, 0]))
  for (let round = 0; round < 3000; round++) {
    const name = `m${random(10)}`
    if (random(10) === 0 && group.size > 1) {
      group.remove(name)
      waited.delete(name)
    } else if (random(10) === 0) {
      group.add({ subscriber: name, reception })
      if (!waited.has(name)) waited.set(name, 0)
    }
    const chosen = group.next(ready)?.subscriber ?? ''
    for (const [member, times] of waited) {
      // Each of the others can come before it once, and so can each that has left since.
      assert.ok(times < 13, `${member} has waited for ${times} messages`)
      waited.set(member, member === chosen ? 0 : times + 1)
    }
  }
})
