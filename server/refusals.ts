import type { AuditTrail, Fingerprint } from '#protocol'

/** Refusals of one kind from one source within this time become one record with a count. */
const windowMilliseconds = 10_000
/** Beyond this many sources at once, the rest share one window, so that no flood grows our memory. */
const maxSources = 4096

export interface OperatorRefusal {
  readonly reason: string
  readonly method: string
  readonly peer: string
  readonly fingerprint?: Fingerprint
}

/**
 * Writes refused operators to the audit log without letting a stranger fill it: the first of a kind at once, those that
 * follow within the window as one record with their exact count.
 */
export class OperatorRefusals {
  readonly #audit: AuditTrail
  readonly #open = new Map<string, { refusal: OperatorRefusal; count: number; timer: NodeJS.Timeout }>()

  constructor(audit: AuditTrail) {
    this.#audit = audit
  }

  add(refusal: OperatorRefusal): void {
    const source = this.#open.size < maxSources ? refusal.peer : 'many'
    const key = `${refusal.reason} ${source}`
    const open = this.#open.get(key)
    if (open !== undefined) {
      open.count++
      return
    }
    const timer = setTimeout(() => this.#end(key), windowMilliseconds).unref()
    this.#open.set(key, { refusal: { ...refusal, peer: source }, count: 0, timer })
    this.#record(refusal, 1)
  }

  /** Records what is still being counted. */
  flush(): void {
    for (const key of [...this.#open.keys()]) this.#end(key)
  }

  #end(key: string): void {
    const open = this.#open.get(key)
    if (open === undefined) return
    clearTimeout(open.timer)
    this.#open.delete(key)
    if (open.count > 0) this.#record(open.refusal, open.count)
  }

  #record(refusal: OperatorRefusal, count: number): void {
    try {
      this.#audit.append({ event: 'operator.refuse', ...refusal, count })
    } catch {
      // The log has ended. The refusal stands all the same, and nothing is answered that the record promises.
    }
  }
}
