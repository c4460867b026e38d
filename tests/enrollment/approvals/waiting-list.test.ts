import assert from 'node:assert/strict'
import test from 'node:test'
import { approvalBounds } from '../../../enrollment/approvals/bounds.js'
import { type Applicant, WaitingList } from '../../../enrollment/approvals/waiting-list.js'
import { hash, hour, profile } from '../../registry/world.js'

/** `place`: of an address range of its own. */
function applicant(chip: string, place: number, over: Partial<Applicant> = {}): Applicant {
  return {
    anchor: { kind: 'ek', hash: hash(`ek ${chip}`) },
    ...{ reason: 'unknown', profile, tier: 'tpm', spkiHash: hash(`key of ${chip}`), maker: 'TMRK' },
    peer: `198.51.100.${place}:4000`,
    ...over,
  }
}

function createList(over: Partial<typeof approvalBounds> = {}) {
  const clock = { now: 0 }
  const begun: string[] = []
  const list = new WaitingList({ ...approvalBounds, ...over }, () => clock.now)
  const put = (one: Applicant) => list.put(one, () => begun.push(one.anchor.hash))
  const chips = () => list.all().map(({ anchor }) => anchor.hash)
  return { clock, begun, list, put, chips }
}

test('hardware that asks again keeps its place, begins once, and is shown as it came last', () => {
  const { clock, begun, list, put } = createList()
  put(applicant('a', 1))
  clock.now = 1000
  put(applicant('b', 1))
  put(applicant('a', 2, { reported: { model: 'RX-7' } }))
  const [first] = list.all()
  assert.deepEqual(
    [first?.anchor.hash, first?.since, first?.last, first?.tries, first?.peer, first?.reported],
    [hash('ek a'), 0, 1000, 2, '198.51.100.2:4000', { model: 'RX-7' }],
  )
  assert.deepEqual(begun, [hash('ek a'), hash('ek b')])
})

test('who has not asked for a day waits no more', () => {
  const { clock, list, put } = createList()
  put(applicant('a', 1))
  clock.now = approvalBounds.silentMs - 1
  put(applicant('b', 1))
  assert.equal(list.all().length, 2)
  clock.now++
  assert.deepEqual(
    list.all().map(({ anchor }) => anchor.hash),
    [hash('ek b')],
  )
  assert.equal(list.get(hash('ek a')), undefined)
})

test('one address range takes its share and no more, and those within it can still ask again', () => {
  const { put, chips } = createList({ waitingOfSource: 3 })
  for (const chip of ['a', 'b', 'c']) put(applicant(chip, 1))
  assert.throws(() => put(applicant('d', 1)), { code: 'BUSY', retryAfterSeconds: 60 })
  put(applicant('a', 1))
  put(applicant('d', 2))
  assert.equal(chips().length, 4)
})

test('a flood of genuine chips pushes out none but its own', () => {
  const { put, chips } = createList({ waiting: 6, waitingOfSource: 5 })
  put(applicant('honest 1', 1))
  for (let chip = 0; chip < 5; chip++) put(applicant(`flood ${chip}`, 9))
  put(applicant('honest 2', 2)) // all places are taken: the range with most of them gives one up, the oldest of its own
  put(applicant('honest 3', 3))
  const waiting = new Set<string>(chips())
  assert.equal(waiting.size, 6)
  for (const chip of ['honest 1', 'honest 2', 'honest 3', 'flood 2', 'flood 4'])
    assert.ok(waiting.has(hash(`ek ${chip}`)))
  for (const chip of ['flood 0', 'flood 1']) assert.ok(!waiting.has(hash(`ek ${chip}`)))
  assert.throws(() => put(applicant('flood 5', 9)), { code: 'BUSY' })
  assert.equal(chips().length, 6)
})

test('one manufacturer’s chips begin to wait so many an hour', () => {
  const { clock, put, begun } = createList({ newOfMakerEachHour: 2 })
  put(applicant('a', 1))
  put(applicant('b', 2))
  assert.throws(() => put(applicant('c', 3)), { code: 'BUSY' })
  put(applicant('d', 4, { maker: 'another' }))
  clock.now += hour
  put(applicant('c', 3))
  assert.equal(begun.length, 4)
})

test('whoever is not put on record gets no place', () => {
  const { list } = createList()
  const fail = () => {
    throw new TypeError('the log has ended')
  }
  assert.throws(() => list.put(applicant('a', 1), fail), TypeError)
  assert.equal(list.all().length, 0)
})
