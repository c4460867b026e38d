import { parseShare, type Verdict } from '#protocol'
import type { Question } from '../policy.js'
import type { Change } from './change-list.js'
import { receivedOnlyIn } from './reach.js'
import type { Pair, Shadow } from './shadow.js'

/** What one policy allows and the other refuses; undefined where they are of one mind. */
export function changeOf(
  shadow: Shadow,
  pair: Pair,
  question: Question,
  { of, count }: Pick<Change, 'of' | 'count'>,
): Change | undefined {
  const [now, then] = [pair.now.judge(question), pair.then.judge(question)]
  if (now.effect === then.effect) return undefined
  return {
    ...{ effect: then.effect === 'allow' ? 'gain' : 'lose', of, action: question.action, partly: false, count },
    topic: question.action === 'subscribe' ? question.filter : question.topic,
    between: JSON.stringify([now, then]),
    verdicts: () => ({ now: shadow.verdict('now', pair, question), then: shadow.verdict('then', pair, question) }),
  }
}

/** A live subscription goes, or it stays and comes at a lower QoS, without some topics, or with some more. */
export function* subscriptionChanges(
  shadow: Shadow,
  pair: Pair,
  question: Extract<Question, { readonly action: 'subscribe' }>,
): Iterable<Change> {
  const { filter, qos } = question
  const whole = changeOf(shadow, pair, question, { of: 'subscription', count: 1 })
  if (whole) return yield whole
  const name = parseShare(filter)
  const [now, then] = [pair.now.subscribe(filter, qos), pair.then.subscribe(filter, qos)]
  if (now.effect === 'deny' || then.effect === 'deny' || !name.valid) return
  const levels = name.filter.split('/')
  const [here, there] = [pair.now.receiving(filter), pair.then.receiving(filter)]
  const [less, more] = [receivedOnlyIn(here, there, levels), receivedOnlyIn(there, here, levels)]

  const about = { of: 'subscription', action: 'subscribe', partly: true, topic: filter, count: 1 } as const
  const allowing = (which: 'now' | 'then', rule: string | undefined): Verdict => {
    return { effect: 'allow', ...shadow.place(which, rule), nearest: false }
  }
  const refusing = (which: 'now' | 'then', rule: string | undefined): Verdict => {
    return { effect: 'deny', reason: rule ? 'denied' : 'no_rule', ...shadow.place(which, rule), nearest: false }
  }
  const change = (effect: Change['effect'], now: Verdict, then: Verdict): Change => {
    return { ...about, effect, between: JSON.stringify([now, then]), verdicts: () => ({ now, then }) }
  }
  if (then.qos < now.qos) {
    yield change('lose', allowing('now', now.rules[0]), { ...refusing('then', then.rules[0]), reason: 'qos' })
  }
  if (less) yield change('lose', allowing('now', less.allowing.id), refusing('then', less.denying?.id))
  if (more) yield change('gain', refusing('now', more.denying?.id), allowing('then', more.allowing.id))
}
