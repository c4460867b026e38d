import { AuditError } from '../errors.js'
import type { KeysToErase } from './options.js'

/** To the writer. */
export type Erase = { readonly kind: 'erase'; readonly id: number } & KeysToErase

/** From it: how many keys there were, or why they may still be there. */
export interface Erased {
  readonly kind: 'erased'
  readonly id: number
  readonly count: number
  readonly problem?: string
}

interface Waiter {
  readonly resolve: (count: number) => void
  readonly reject: (error: AuditError) => void
}

/** Erasures that were asked of the writer and not answered yet. */
export class Erasures {
  readonly #waiting = new Map<number, Waiter>()
  #next = 0

  /** @throws AuditError AUDIT_FAILED when a key may still be there */
  ask(keys: KeysToErase, send: (message: Erase) => void): Promise<number> {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      send({ kind: 'erase', id, ...keys })
    })
  }

  answer({ id, count, problem }: Erased): void {
    const waiter = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (problem === undefined) waiter?.resolve(count)
    else waiter?.reject(failed(problem))
  }

  /** There is no writer any more to answer them. */
  fail(): void {
    for (const { reject } of this.#waiting.values()) reject(failed('the log ended before it was known'))
    this.#waiting.clear()
  }
}

function failed(problem: string): AuditError {
  return new AuditError('AUDIT_FAILED', `keys may not be erased: ${problem}`)
}
