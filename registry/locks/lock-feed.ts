import type { DeviceId } from '#protocol'
import { type LeaseTerms, leaseTerms } from './lease-terms.js'
import type { StandingsChange } from './standings.js'

/** A change of who is kept out or in quarantine, in its place among all of them. */
export interface LockChange extends StandingsChange {
  readonly revision: number
  /** The revision of the change before it; absent where this is the whole state, whatever was before. */
  readonly after?: number
  /** Nobody else can stand otherwise; absent where it can be anyone, as the locks have changed or the policy. */
  readonly device?: DeviceId
}

/** What a broker did for a change. */
export interface Ended {
  readonly sessions: number
  readonly purged: number
}

/** `behind`: a change has not been reported. The whole state comes again, and the lease is not renewed before that acts. */
export type Renewal = 'renewed' | 'behind'

/** A broker's hold on the feed. */
export interface LockHold {
  /** To be called once for each change, in their order, when it acts: nothing that it is on is delivered any more. */
  readonly applied: (revision: number, ended: Ended) => void
  /** Another term, for a broker at which everything up to `revision` acts. */
  readonly renew: (revision: number) => Renewal
  readonly release: () => void
}

/** What came of a change so far. */
export interface LockProgress extends Ended {
  /** Brokers at which it may not act yet. */
  readonly outstanding: readonly string[]
}

/** For so many changes it is remembered what they came to. */
const rememberedChanges = 1000

/**
 * Brings each change to every broker, in order, and knows how far each has come. A broker that begins to follow, or has
 * missed a change, is given the whole state. Each holds a lease, which it renews by the revision that acts there: one
 * that is cut off or cannot apply a change does not get it renewed, and stops by itself when it is over.
 */
export class LockFeed {
  readonly #followers = new Map<string, Follower>()
  readonly #ended = new Map<number, Ended>()
  readonly #elapsed: () => number
  readonly #standings: () => StandingsChange
  #revision: number

  /** `elapsed`: milliseconds by a clock that nobody sets. `standings`: all, as they are now. */
  constructor(elapsed: () => number, standings: () => StandingsChange, revision: number) {
    this.#elapsed = elapsed
    this.#standings = standings
    this.#revision = revision
  }

  /** Of the last change. */
  get revision(): number {
    return this.#revision
  }

  /** `terms`: those of the broker, whose own count of each began before ours. */
  follow(
    name: string,
    apply: (change: LockChange, hold: LockHold) => void,
    terms: LeaseTerms = leaseTerms(),
  ): LockHold {
    const hold: LockHold = {
      applied: (revision, ended) => this.#report(follower, revision, ended),
      renew: (revision) => this.#renew(follower, revision),
      release: () => void (this.#followers.get(name) === follower && this.#followers.delete(name)),
    }
    const give = (change: LockChange) => apply(change, hold)
    const follower: Follower = { give, terms, applied: -1, leaseEnds: this.#elapsed() + terms.milliseconds }
    this.#followers.set(name, follower)
    follower.give(this.#whole())
    return hold
  }

  publish(change: Omit<LockChange, 'after'>): void {
    const placed = { ...change, after: this.#revision }
    this.#revision = change.revision
    this.#ended.set(change.revision, { sessions: 0, purged: 0 })
    for (const [oldest] of this.#ended) if (this.#ended.size > rememberedChanges) this.#ended.delete(oldest)
    for (const follower of this.#followers.values()) giveAlone(follower, placed)
  }

  progress(revision: number): LockProgress {
    const mayGoOn = ({ terms: { mode }, applied, leaseEnds }: Follower) =>
      applied < revision && !(mode === 'strict' && leaseEnds <= this.#elapsed())
    const outstanding = [...this.#followers].flatMap(([name, follower]) => (mayGoOn(follower) ? [name] : []))
    return { ...(this.#ended.get(revision) ?? { sessions: 0, purged: 0 }), outstanding }
  }

  #renew(follower: Follower, revision: number): Renewal {
    if (Math.min(revision, follower.applied) < this.#revision) {
      giveAlone(follower, this.#whole())
      return 'behind'
    }
    follower.leaseEnds = this.#elapsed() + follower.terms.milliseconds
    return 'renewed'
  }

  #whole(): LockChange {
    return { ...this.#standings(), revision: this.#revision }
  }

  #report(follower: Follower, revision: number, { sessions, purged }: Ended): void {
    follower.applied = revision
    const sum = this.#ended.get(revision)
    if (sum) this.#ended.set(revision, { sessions: sum.sessions + sessions, purged: sum.purged + purged })
  }
}

interface Follower {
  readonly give: (change: LockChange) => void
  readonly terms: LeaseTerms
  /** The last revision that it has reported. */
  applied: number
  /** By our clock. */
  leaseEnds: number
}

/** One broker's trouble is not the others': it has not reported, and is named as outstanding. */
function giveAlone({ give }: Follower, change: LockChange): void {
  try {
    give(change)
  } catch {
    // Its lease is not renewed before the whole state acts there.
  }
}
