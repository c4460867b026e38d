import assert from 'node:assert/strict'
import test from 'node:test'
import { type Approval, untilApproved } from '../../device-agent/approval.js'
import { AgentError } from '../../device-agent/errors.js'
import { exitCodeOf } from '../../device-agent/exit-codes.js'

const pending = (retryAfterSeconds = 60) =>
  new AgentError('REFUSED', 'this waits for an operator', {
    refusal: { status: 202, code: 'APPROVAL_PENDING', retryAfterSeconds },
  })

/** A service that says so often that it waits, and a clock that goes on only while the agent sleeps. */
function waitingFor(answers: readonly AgentError[], waitSeconds = 600) {
  const world = { now: 0, tries: 0, said: [] as string[], slept: [] as number[], stopping: new AbortController() }
  const approval: Approval = {
    ...{ waitSeconds, elapsed: () => world.now, random: () => 1, stopped: world.stopping.signal },
    sleep: async (milliseconds) => {
      world.slept.push(milliseconds)
      world.now += milliseconds
    },
    say: (line) => world.said.push(line),
  }
  const join = async () => {
    const answer = answers[world.tries++]
    if (answer !== undefined) throw answer
    return 'in'
  }
  return { world, ask: () => untilApproved(join, approval) }
}

test('asks again at the pace of the service and a little later, says once what it waits for, and comes in', async () => {
  const { world, ask } = waitingFor([pending(), pending(120), pending()])
  assert.equal(await ask(), 'in')
  assert.deepEqual(world.slept, [75_000, 150_000, 75_000])
  assert.equal(world.said.length, 1)
})

test('gives up when the time is over, with an exit code of its own, and asks once where it may not wait', async () => {
  const { world, ask } = waitingFor(
    Array.from({ length: 100 }, () => pending()),
    200,
  )
  await assert.rejects(ask(), (error) => exitCodeOf(error) === 9)
  assert.equal(world.tries, 3)
  const once = waitingFor([pending()], 0)
  await assert.rejects(once.ask(), { code: 'REFUSED' })
  assert.deepEqual([once.world.tries, once.world.said], [1, []])
})

test('whatever else is said ends it at once', async () => {
  const denied = new AgentError('REFUSED', 'no', { refusal: { status: 403, code: 'APPROVAL_DENIED' } })
  const { world, ask } = waitingFor([pending(), denied])
  await assert.rejects(ask(), (error) => exitCodeOf(error) === 4)
  assert.equal(world.tries, 2)
})

test('stops when it is told to', async () => {
  const { world, ask } = waitingFor([pending(), pending()])
  world.stopping.abort()
  await assert.rejects(ask(), { code: 'REFUSED' })
  assert.equal(world.tries, 1)
})
