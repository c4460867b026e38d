import assert from 'node:assert/strict'
import test from 'node:test'
import { Statistics, Tally } from '../../broker/statistics.js'
import { TrafficMeter } from '../../broker/traffic-meter.js'

test('a tally counts each kind apart', () => {
  const tally = new Tally<'lost' | 'slow'>()
  tally.add('lost')
  tally.add('slow', 3)
  tally.add('lost')
  assert.deepEqual(
    [...tally],
    [
      ['lost', 2],
      ['slow', 3],
    ],
  )
  assert.equal(tally.sum, 5)
})

test('one decision in 64 is timed, and all of them are made', () => {
  let milliseconds = 0
  const statistics = new Statistics(() => (milliseconds += 2))
  const times: [string, number][] = []
  statistics.onDecisionTime = (action, seconds) => times.push([action, seconds])
  const answers = Array.from({ length: 129 }, (_, n) => statistics.timed(n < 65 ? 'publish' : 'receive', () => n))
  assert.equal(
    answers.reduce((sum, answer) => sum + answer, 0),
    (128 * 129) / 2,
  )
  assert.deepEqual(times, [
    ['publish', 0.002],
    ['publish', 0.002],
    ['receive', 0.002],
  ])
})

test('nobody looks at the clock while nobody wants to know', () => {
  const statistics = new Statistics(() => assert.fail('the clock was read'))
  assert.equal(
    statistics.timed('publish', () => 'yes'),
    'yes',
  )
})

test('rates are those of the last seconds, not of the whole life of a connection', () => {
  let now = 1_000_000
  const meter = new TrafficMeter(now)
  const pass = (seconds: number, perSecond: number) => {
    for (let second = 0; second < seconds; second++) {
      now += 1000
      meter.messagesIn += perSecond
      meter.mark(now)
    }
  }
  pass(60, 100)
  assert.deepEqual(meter.rates(now), { in: 100, out: 0 })
  pass(20, 2)
  assert.deepEqual(meter.rates(now), { in: 2, out: 0 })
  pass(20, 0)
  assert.deepEqual(meter.rates(now), { in: 0, out: 0 })
  assert.equal(meter.messagesIn, 6040)
})

test('a burst in the first instant of a connection is no infinite rate', () => {
  const meter = new TrafficMeter(5)
  meter.messagesOut = 10
  assert.deepEqual(meter.rates(5), { in: 0, out: 10 })
})
