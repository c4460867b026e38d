import type { StandingsChange } from './standings.js'

/** A change of who is kept out or in quarantine, in its place among all of them. */
export interface LockChange extends StandingsChange {
  readonly revision: number
}

/** What a broker did for a change. */
export interface Ended {
  readonly sessions: number
  readonly purged: number
}

/** A broker's hold on the feed. */
export interface LockLease {
  /** To be called once for each change, in their order, when it acts: nothing that it is on is delivered any more. */
  readonly applied: (revision: number, ended: Ended) => void
  readonly release: () => void
}

/** What came of a change so far. */
export interface LockProgress extends Ended {
  /** Brokers that have not reported it. */
  readonly outstanding: readonly string[]
}

/** For so many changes it is remembered what they came to. */
const rememberedChanges = 1000

/**
 * Brings each change to every broker, in order, and knows how far each has come. A broker that begins to follow is given
 * the whole state first; one that has missed a revision has to begin again. Today the one broker lives in this process
 * and reports before `publish` returns; for others, a lease that ends by itself belongs here (docs/decisions/0010).
 */
export class LockFeed {
  readonly #followers = new Map<string, Follower>()
  readonly #ended = new Map<number, Ended>()

  /** The change that it starts with is the whole state, of the revision at which it stands. */
  follow(name: string, apply: (change: LockChange, lease: LockLease) => void, whole: LockChange): LockLease {
    const lease: LockLease = {
      applied: (revision, ended) => this.#report(name, revision, ended),
      release: () => void this.#followers.delete(name),
    }
    const follower = { apply: (change: LockChange) => apply(change, lease), applied: -1 }
    this.#followers.set(name, follower)
    follower.apply(whole)
    return lease
  }

  publish(change: LockChange): void {
    this.#ended.set(change.revision, { sessions: 0, purged: 0 })
    for (const [oldest] of this.#ended) if (this.#ended.size > rememberedChanges) this.#ended.delete(oldest)
    for (const { apply } of this.#followers.values()) {
      try {
        apply(change)
      } catch {
        // It has not reported, and is named as outstanding; one broker's trouble is not the others'.
      }
    }
  }

  progress(revision: number): LockProgress {
    const followers = [...this.#followers]
    const outstanding = followers.filter(([, { applied }]) => applied < revision).map(([name]) => name)
    return { ...(this.#ended.get(revision) ?? { sessions: 0, purged: 0 }), outstanding }
  }

  #report(name: string, revision: number, { sessions, purged }: Ended): void {
    const follower = this.#followers.get(name)
    if (follower) follower.applied = revision
    const sum = this.#ended.get(revision)
    if (sum) this.#ended.set(revision, { sessions: sum.sessions + sessions, purged: sum.purged + purged })
  }
}

interface Follower {
  readonly apply: (change: LockChange) => void
  /** The last revision that it has reported. */
  applied: number
}
