import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { defaultPolicy, parsePolicy, policyHash, policyLimits } from '#policy'
import { PolicyThread, readHere } from '../../server/policy-reader.js'

const rich = `${defaultPolicy}
operators:
  roles: { r: { allow: [{ id: a, acts: ['devices.*'], labels: { __proto__: x } }] } }
  bindings: [{ role: r, operators: [bob] }]
`.replace('match: { labels: { role: gateway } }', 'match: { tier: token }\n    when: { cidr: "2001:db8::/32" }')

function open(t: TestContext): PolicyThread {
  const thread = new PolicyThread()
  t.after(() => thread.close())
  return thread
}

test('a policy that a thread has read is the one that is read here', async (t) => {
  const thread = open(t)
  const read = await thread.parse(rich, 'p.yaml')
  assert.deepEqual(read, parsePolicy(rich, 'p.yaml'))
  assert.equal(policyHash(read), policyHash(parsePolicy(rich, 'p.yaml')))
  assert.equal(await thread.renumber(rich, 'p.yaml', 7), await readHere.renumber(rich, 'p.yaml', 7))
})

test('what cannot be read is refused with its code and place, and others are read meanwhile', async (t) => {
  const thread = open(t)
  const wrong = rich.replace('sessions:', 'session:')
  const [refused, read] = await Promise.allSettled([thread.parse(wrong, 'p.yaml'), thread.parse(rich, 'p.yaml')])
  assert.equal(read.status, 'fulfilled')
  assert.ok(refused.status === 'rejected')
  await assert.rejects(readHere.parse(wrong, 'p.yaml'), refused.reason as Error)
  await assert.rejects(thread.renumber(wrong, 'p.yaml', 2), { code: 'POLICY_UNKNOWN_KEY' })
})

test('this thread goes on while the largest policy there can be is read', async (t) => {
  const thread = open(t)
  const largest = rich.padEnd(policyLimits.maxBytes, '# and so on\n')
  let turns = 0
  let isRead = false
  const reading = thread.parse(largest, 'p.yaml').finally(() => (isRead = true))
  const turn = (): void => {
    turns++
    if (!isRead) setImmediate(turn)
  }
  turn()
  await reading
  assert.ok(turns > 1)
})

test('who waits for a thread that ends is answered all the same, and the next one has another', async (t) => {
  const thread = open(t)
  const waiting = [thread.parse(rich, 'p.yaml'), thread.parse('', 'p.yaml')] as const
  await thread.close()
  assert.equal((await waiting[0]).version, 1)
  await assert.rejects(waiting[1], { code: 'POLICY_EMPTY' })
  assert.equal((await thread.parse(rich, 'p.yaml')).version, 1)
})
