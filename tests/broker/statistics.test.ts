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

test('one decision in 64 is timed, of each action apart', () => {
  let milliseconds = 0
  const statistics = new Statistics(() => (milliseconds += 2))
  const times: [string, number][] = []
  statistics.onDecisionTime = (action, seconds) => times.push([action, seconds])
  for (let n = 0; n < 65; n++) {
    for (const action of ['publish', 'receive'] as const) {
      statistics.endDecision(action, statistics.beginDecision(action))
    }
  }
  assert.deepEqual(times, [
    ['publish', 0.002],
    ['receive', 0.002],
    ['publish', 0.002],
    ['receive', 0.002],
  ])
})

test('nobody looks at the clock while nobody wants to know', () => {
  const statistics = new Statistics(() => assert.fail('the clock was read'))
  statistics.endDecision('publish', statistics.beginDecision('publish'))
})

test('rates are those of the last seconds, not of the whole life of a connection', () => {
  let now = 1_000_000
  const total = new Statistics()
  const meter = new TrafficMeter(total, now)
  const pass = (seconds: number, perSecond: number) => {
    for (let second = 0; second < seconds; second++) {
      now += 1000
      for (let n = 0; n < perSecond; n++) meter.received(1)
      meter.mark(now)
    }
  }
  pass(60, 100)
  assert.deepEqual(meter.rates(now), { in: 100, out: 0 })
  pass(20, 2)
  assert.deepEqual(meter.rates(now), { in: 2, out: 0 })
  pass(20, 0)
  assert.deepEqual(meter.rates(now), { in: 0, out: 0 })
  assert.deepEqual([meter.messages.in, total.messagesIn], [6040, { 0: 0, 1: 6040, 2: 0 }])
})

test('a burst in the first instant of a connection is no infinite rate', () => {
  const meter = new TrafficMeter(new Statistics(), 5)
  for (let n = 0; n < 10; n++) meter.sent(0)
  assert.deepEqual(meter.rates(5), { in: 0, out: 10 })
})
