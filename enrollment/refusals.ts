import { type AuditTrail, type ServiceEvent, sourceOf } from '#protocol'
import type { Timer } from './timer.js'

export type RefusedJoin = Omit<Extract<ServiceEvent, { readonly event: 'join.refuse' }>, 'event' | 'count'>

/** Refusals of one kind from one source within this time become one record with a count. */
const windowMs = 10_000
/** Beyond this many sources at once the rest share one count, so that no flood grows our memory or fills the disk. */
const maxOpen = 4096

interface OpenWindow {
  readonly refused: RefusedJoin
  count: number
  readonly cancel: () => void
}

/**
 * Writes refused joins to the audit log without letting a stranger fill it: the first of a kind at once, those that
 * follow within ten seconds as one record with their exact count.
 */
export class Refusals {
  readonly #audit: AuditTrail
  readonly #timer: Timer
  readonly #open = new Map<string, OpenWindow>()

  constructor(audit: AuditTrail, timer: Timer = startTimer) {
    this.#audit = audit
    this.#timer = timer
  }

  add(refused: RefusedJoin): void {
    const kind = `${refused.method} ${refused.reason}`
    const own = `${kind} ${sourceOf(refused.peer)}`
    const key = this.#open.has(own) || this.#open.size < maxOpen ? own : `${kind} many`
    const open = this.#open.get(key)
    if (open !== undefined) {
      open.count++
      return
    }
    this.#record(refused, 1)
    const cancel = this.#timer(windowMs, () => this.#end(key))
    this.#open.set(key, { refused, count: 0, cancel })
  }

  /** Writes what is still being counted. */
  flush(): void {
    for (const key of [...this.#open.keys()]) this.#end(key)
  }

  #end(key: string): void {
    const open = this.#open.get(key)
    if (open === undefined) return
    open.cancel()
    this.#open.delete(key)
    if (open.count > 0) this.#record({ ...open.refused, comment: 'more of the same kind' }, open.count)
  }

  #record(refused: RefusedJoin, count: number): void {
    try {
      this.#audit.append({ event: 'join.refuse', ...refused, count })
    } catch {
      // The log has ended. A refusal stands all the same, and nothing is answered that its record promises.
    }
  }
}

/** Keeps no process alive: whoever ends it flushes first. */
function startTimer(milliseconds: number, then: () => void): () => void {
  const timer = setTimeout(then, milliseconds).unref()
  return () => clearTimeout(timer)
}
