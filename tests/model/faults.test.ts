import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Decision } from '#protocol'
import { Answers } from '../../broker/answers.js'
import { Broker } from '../../broker/broker.js'
import { Delivery } from '../../broker/delivery.js'
import { RightsTerm } from '../../broker/rights-term.js'
import { Retained } from '../../broker/routing/retained.js'
import { EffectivePolicy } from '../../policy/deciding/effective.js'
import { RateLimiter } from '../../policy/deciding/rate-limiter.js'
import { LockGate } from '../../registry/locks/lock-gate.js'
import { Locks } from '../../registry/locks/locks.js'
import { Registry } from '../../registry/registry.js'
import { replace } from '../replace.js'
import { seeded } from '../seeded.js'
import { live } from './live.js'
import { randomSteps } from './steps.js'

/* A test that never fails says nothing: each of these takes one thing that enforces away, and the model has to find out. */

const atMost = 80
const stepsEach = 400

const anything = { effect: 'allow', rules: [] } as const

const faults: Readonly<Record<string, (t: TestContext) => void>> = {
  'nobody is asked what may be heard': (t) =>
    replace(t, EffectivePolicy.prototype, 'receive', ({ version }) => ({
      ...{ ...anything, qos: 2 as const, policyVersion: version },
    })),
  'denies do not hold for publishing': (t) =>
    replace(t, EffectivePolicy.prototype, 'publish', ({ version }, ask, message) => {
      const decision = ask(message)
      const isDenied = decision.effect === 'deny' && decision.reason === 'denied'
      return isDenied ? { ...anything, policyVersion: version } : decision
    }),
  'filters are granted as they are asked for': (t) =>
    replace(t, EffectivePolicy.prototype, 'subscribe', ({ version }, _, __, qos) => ({
      ...{ ...anything, qos, policyVersion: version },
    })),
  'a will that was let in is published, whatever has changed': (t) => {
    const before = new Map<string, Decision>()
    replace(t, EffectivePolicy.prototype, 'will', ({ version }, ask, will) => {
      const known = before.get(JSON.stringify(will))
      const decision = known ?? ask(will)
      if (decision.effect === 'allow') before.set(JSON.stringify(will), decision)
      return { ...decision, policyVersion: version }
    })
  },
  'live sessions do not hear of another policy': (t) =>
    replace(t, Broker.prototype, 'policyChanged', () => Promise.resolve(0)),
  'live sessions do not hear of other labels': (t) => replace(t, Broker.prototype, 'rightsChanged', () => undefined),
  'nobody looks when a time limit passes': (t) => replace(t, RightsTerm.prototype, 'note', () => undefined),
  'what is said by a rule with a rate is not counted': (t) =>
    replace(t, RateLimiter.prototype, 'spend', () => undefined),
  'an answer can be given again': (t) => {
    const given = new Map<unknown, string>()
    replace(t, Answers.prototype, 'take', (_, take, ...asked) => {
      const rule = take(...asked) ?? given.get(asked[0])
      if (rule !== undefined) given.set(asked[0], rule)
      return rule
    })
  },
  'who is locked goes on': (t) => replace(t, Broker.prototype, 'endDevices', () => ({ sessions: 0, purged: 0 })),
  'what somebody locked has said is not taken back': (t) => {
    replace(t, Delivery.prototype, 'removeOf', () => 0)
    replace(t, Retained.prototype, 'removeOf', () => 0)
  },
  'nobody is asked at CONNECT where a lock is': (t) => replace(t, LockGate.prototype, 'keepsOut', () => undefined),
  'quarantine is as if it were not there': (t) => replace(t, Locks.prototype, 'isQuarantined', () => false),
  'certificates that are over open as before': (t) =>
    replace(t, Registry.prototype, 'admit', (registry, admit, identity, address) => {
      const admission = admit(identity, address)
      const device = registry.device(identity.deviceId)
      const isOver = !admission.admitted && (admission.reason === 'previous' || admission.reason === 'superseded')
      const opened = { admitted: true, state: 'current', epoch: 0 } as const
      return isOver && device ? { ...opened, device } : admission
    }),
}

for (const [what, begin] of Object.entries(faults)) {
  test(`the model finds out when ${what}`, async (t) => {
    begin(t)
    for (let seed = 1; seed <= atMost; seed++) {
      const { wrong, until } = await live(seed, randomSteps(seeded(seed), stepsEach))
      const [first] = wrong
      if (first) return t.diagnostic(`in life ${seed}, after ${until.length} steps: ${first.what}`)
    }
    assert.fail(`not in ${atMost} lives`)
  })
}
