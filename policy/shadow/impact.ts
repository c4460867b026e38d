import type { DecisionsImpact, PolicyImpact } from '#protocol'
import { type Change, ChangeList } from './change-list.js'
import { changeOf, subscriptionChanges } from './changes.js'
import type { LiveSession, LiveSubscription } from './live-session.js'
import type { Decided } from './observed.js'
import type { Pair, Shadow } from './shadow.js'

type Effect = Change['effect']
type About = Pick<PolicyImpact, 'inForce' | 'candidate'> & Pick<DecisionsImpact, 'asked' | 'since' | 'until'>

/** Counts who gains and who loses, one question at a time, so that whoever counts can pause in between. */
export class ImpactTally {
  readonly #shadow: Shadow
  readonly #changes = new ChangeList()
  readonly #sessions = { live: 0, end: 0, gain: new Set<string>(), lose: new Set<string>() }
  readonly #subscriptions = { live: 0, gain: 0, lose: 0 }
  readonly #wills = { live: 0, gain: 0, lose: 0 }
  readonly #decisions = {
    ...{ read: 0, judged: 0, gain: 0, lose: 0, otherwise: 0 },
    ...{ unknownDevices: 0, notByPolicy: 0, withoutTopic: 0, withoutAddress: 0 },
  }

  constructor(shadow: Shadow) {
    this.#shadow = shadow
  }

  /** Its subscriptions are another question each. */
  session(live: LiveSession): void {
    this.#sessions.live++
    if (live.will) this.#wills.live++
    const pair = this.#shadow.pairFor(live.device, live.from)
    if (pair === undefined) return
    const will = live.will && changeOf(this.#shadow, pair, { action: 'will', ...live.will }, { of: 'will', count: 1 })
    if (will) {
      this.#wills[will.effect]++
      this.#note(pair, live, will)
    }
    if (isTooMany(live, pair.now.maxSessions) || !isTooMany(live, pair.then.maxSessions)) return
    this.#sessions.end++
    this.#note(pair, live, endOf(live))
  }

  subscription(live: LiveSession, { name, qos }: LiveSubscription): void {
    this.#subscriptions.live++
    const pair = this.#shadow.pairFor(live.device, live.from)
    if (pair === undefined) return
    const effects = new Set<Effect>()
    for (const change of subscriptionChanges(this.#shadow, pair, { action: 'subscribe', filter: name, qos })) {
      effects.add(change.effect)
      this.#note(pair, live, change)
    }
    for (const effect of effects) this.#subscriptions[effect]++
  }

  /** `from`: the client's address, where it is known; `isLive`: the session in which it was decided is still there. */
  decision(decided: Decided, { from, isLive }: { readonly from: string | undefined; readonly isLive: boolean }): void {
    const { question, count, device, session } = decided
    const decisions = this.#decisions
    decisions.read++
    if (typeof question === 'string') {
      decisions[question] += count
      return
    }
    const pair = this.#shadow.pairFor(device, from)
    if (pair === undefined) {
      decisions.unknownDevices += count
      return
    }
    decisions.judged += count
    if (from === undefined && dependsOnAddress(pair)) decisions.withoutAddress += count
    if (pair.now.judge(question).effect !== decided.effect) decisions.otherwise += count
    const change = changeOf(this.#shadow, pair, question, { of: 'decision', count })
    if (change === undefined) return
    decisions[change.effect] += count
    if (isLive && session !== undefined) this.#sessions[change.effect].add(session)
    this.#changes.add(pair, change)
  }

  impact({ inForce, candidate, ...range }: About): PolicyImpact {
    const { live, end, gain, lose } = this.#sessions
    return {
      ...{ inForce, candidate },
      decisions: { ...this.#decisions, ...range },
      devices: { gain: this.#changes.gaining.size, lose: this.#changes.losing.size },
      sessions: { live, end, gain: gain.size, lose: lose.size },
      subscriptions: { ...this.#subscriptions },
      wills: { ...this.#wills },
      changes: this.#changes.told,
      changesInAll: this.#changes.inAll,
    }
  }

  #note(pair: Pair, { session }: LiveSession, change: Change): void {
    this.#sessions[change.effect].add(session)
    this.#changes.add(pair, change)
  }
}

/** As the broker has it: those that came first stay, and a client id with a suffix needs more than one. */
function isTooMany({ place, clientId, device }: LiveSession, maxSessions: number): boolean {
  return (place ?? 0) >= maxSessions || (clientId !== device && maxSessions <= 1)
}

function endOf({ clientId }: LiveSession): Change {
  return {
    ...{ effect: 'lose', of: 'session', action: 'connect', partly: false, count: 1 },
    ...{ topic: clientId, between: '' },
    verdicts: () => ({
      now: { effect: 'allow', nearest: false },
      then: { effect: 'deny', reason: 'quota', nearest: false },
    }),
  }
}

function dependsOnAddress({ now, then }: Pair): boolean {
  return now.dependsOnAddress || then.dependsOnAddress
}
