import type { ActName, AuditTrail, DeviceId, Fingerprint, OperatorName } from '#protocol'
import { Repeats } from './repeats.js'

/** Beyond this many sources at once, the rest share one window, so that no flood grows our memory. */
const maxSources = 4096

export interface OperatorRefusal {
  readonly reason: string
  readonly method: string
  readonly peer: string
  readonly fingerprint?: Fingerprint
  /** Who was admitted, and may not do this. */
  readonly operator?: OperatorName
  readonly act?: ActName
  readonly device?: DeviceId
}

/** Writes refused operators to the audit log without letting anybody fill it: counted by reason, source and act. */
export class OperatorRefusals {
  readonly #repeats: Repeats<OperatorRefusal>

  constructor(audit: AuditTrail) {
    this.#repeats = new Repeats((refusal, count) => {
      try {
        audit.append({ event: 'operator.refuse', ...refusal, count })
      } catch {
        // The log has ended. The refusal stands all the same, and nothing is answered that the record promises.
      }
    }, asOne)
  }

  add(refusal: OperatorRefusal): void {
    const peer = this.#repeats.size < maxSources ? refusal.peer : 'many'
    const { reason, operator = '', act = '' } = refusal
    this.#repeats.add(`${reason} ${peer} ${operator} ${act}`, { ...refusal, peer })
  }

  /** Records what is still being counted. */
  flush(): void {
    this.#repeats.flush()
  }
}

/** Of several devices none is named: the one would hide the others. */
function asOne(one: OperatorRefusal, other: OperatorRefusal): OperatorRefusal {
  const { device, ...rest } = one
  return device !== undefined && device === other.device ? one : rest
}
