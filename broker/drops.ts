import type { DropReason } from '#protocol'
import type { Session } from './session.js'
import type { Statistics } from './statistics.js'
import type { Trail } from './trail.js'

/** Writes down what sessions have lost: by its exact number, and not message by message. */
export class Drops {
  readonly #trail: Trail
  readonly #statistics: Statistics

  constructor(trail: Trail, statistics: Statistics) {
    this.#trail = trail
    this.#statistics = statistics
  }

  record(session: Session, reason: DropReason, count: number): void {
    if (count === 0) return
    this.#statistics.drops.add(reason, count)
    this.#trail.recordIfPossible({ event: 'message.drop', ...session.facts(), reason, count })
  }

  /** What was counted on the session since the last time. */
  recordCounted(session: Session): void {
    const { dropped } = session
    for (const reason of ['queue_full', 'expired', 'too_large'] as const) {
      this.record(session, reason, dropped[reason])
      dropped[reason] = 0
    }
  }
}
