import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { seeded } from '../seeded.js'
import { judge, type Verdict } from './judge.js'
import { Life } from './life.js'
import { deviceNames, randomPolicy } from './policies.js'
import { type Fault, openService } from './service.js'

/*
 * Whatever happens, nothing gets through that the policy in force at its place in the audit log forbids. A fleet lives a
 * random life over real sockets; then its log is read by a reference that shares no code with the product.
 */

const sequences = 6
const stepsEach = 400

test(`in ${sequences} lives of ${stepsEach} steps nothing gets through that the policy of its place in the log forbids`, async (t) => {
  const sum = { connects: 0, subscriptions: 0, messages: 0, deliveries: 0 }
  for (let seed = 1; seed <= sequences; seed++) {
    const { judged, wrong } = await live(t, seed)
    assert.deepEqual(wrong, [], `seed ${seed}`)
    for (const kind of ['connects', 'subscriptions', 'messages', 'deliveries'] as const) sum[kind] += judged[kind]
  }
  t.diagnostic(`${sequences} sequences, ${sequences * stepsEach} steps; allowed and judged: ${JSON.stringify(sum)}`)
  assert.ok(sum.messages > 200 && sum.deliveries > 200, 'too little was let through to be judged')
})

const anything = { effect: 'allow', rules: [], policyVersion: 0 } as const

const faults: Readonly<Record<string, Fault>> = {
  'nobody is asked what may be heard': {
    rights: (rights) => ({ ...known(rights), receive: () => ({ ...anything, qos: 2 }) }),
  },
  'denies do not hold for publishing': {
    rights: (rights) => ({
      ...known(rights),
      publish: (message) => {
        const decision = rights.publish(message)
        return decision.effect === 'deny' && decision.reason === 'denied' ? anything : decision
      },
    }),
  },
  'filters are granted as they are asked for': {
    rights: (rights) => ({ ...known(rights), subscribe: (_, qos) => ({ ...anything, qos }) }),
  },
  'live sessions do not hear of another policy': { untold: 'policy' },
  'live sessions do not hear of other labels': { untold: 'labels' },
  'locks are made and do not act on who is there': { untold: 'locks' },
}

for (const [what, fault] of Object.entries(faults)) {
  test(`the model finds out when ${what}`, async (t) => {
    let found: readonly string[] = []
    let lives = 0
    while (found.length === 0 && lives < sequences) found = (await live(t, ++lives, fault)).wrong
    t.diagnostic(`found in life ${lives}: ${found[0] ?? 'nothing'}`)
    assert.notEqual(found.length, 0)
  })
}

/** One life, and what its log says about it, and its clients: each hears what is on record, and nothing else. */
async function live(t: TestContext, seed: number, fault?: Fault): Promise<Verdict> {
  const random = seeded(seed)
  const first = randomPolicy(random, 1)
  const service = await openService(t, deviceNames, JSON.stringify(first), fault)
  const life = new Life(service, random, first)
  await life.run(stepsEach)
  const { records } = service.world.audit
  const delivered = records.flatMap((record) =>
    record.event === 'message.deliver' && record.decision === 'allow' ? [`${record.device} ${record.topic}`] : [],
  )
  const heard = life.all.flatMap(({ device, client }) => client.all('publish').map(({ topic }) => `${device} ${topic}`))
  for (const message of new Set(heard)) assert.ok(count(heard, message) <= count(delivered, message), message)
  return judge(records, life.policies)
}

function count(all: readonly string[], one: string): number {
  return all.filter((other) => other === one).length
}

/** The rest of a device's rights, as they are. */
function known(rights: Parameters<NonNullable<Fault['rights']>>[0]) {
  const { version, quarantined, maxSessions, onDenyPublish, term } = rights
  return {
    ...{ version, quarantined, maxSessions, onDenyPublish, term },
    publish: rights.publish.bind(rights),
    will: rights.will.bind(rights),
    subscribe: rights.subscribe.bind(rights),
    receive: rights.receive.bind(rights),
  }
}
