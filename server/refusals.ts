import type { AuditTrail, Fingerprint } from '#protocol'
import { Repeats } from './repeats.js'

/** Beyond this many sources at once, the rest share one window, so that no flood grows our memory. */
const maxSources = 4096

export interface OperatorRefusal {
  readonly reason: string
  readonly method: string
  readonly peer: string
  readonly fingerprint?: Fingerprint
}

/** Writes refused operators to the audit log without letting a stranger fill it: counted by reason and source. */
export class OperatorRefusals {
  readonly #repeats: Repeats<OperatorRefusal>

  constructor(audit: AuditTrail) {
    this.#repeats = new Repeats((refusal, count) => {
      try {
        audit.append({ event: 'operator.refuse', ...refusal, count })
      } catch {
        // The log has ended. The refusal stands all the same, and nothing is answered that the record promises.
      }
    })
  }

  add(refusal: OperatorRefusal): void {
    const peer = this.#repeats.size < maxSources ? refusal.peer : 'many'
    this.#repeats.add(`${refusal.reason} ${peer}`, { ...refusal, peer })
  }

  /** Records what is still being counted. */
  flush(): void {
    this.#repeats.flush()
  }
}
