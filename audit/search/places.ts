import { AuditError } from '../errors.js'

/** So many searches run at once, of all operators and of each: one never has them all. */
export const searchPlaces = { all: 64, ofEach: 48 } as const

/** Whoever has taken nothing for so long gives up the place when another needs it: someone reads slowly, another never. */
export const patienceMs = 10_000

/** One search as far as it takes a place. */
export interface Place {
  /** What was found is there to be taken from now on. */
  offered(): void
  /** It was. */
  taken(): void
  /** The search is over. */
  leave(): void
}

interface Taken {
  readonly operator: string
  readonly giveUp: (why: AuditError) => void
  /** Undefined while its reader waits for us. */
  offeredAt: number | undefined
}

/** Places for searches. While there are enough nobody is hurried; then one that is not read goes to whoever will. */
export class SearchPlaces {
  readonly #elapsed: () => number
  readonly #taken = new Set<Taken>()

  /** `elapsed`: milliseconds by a clock that nobody sets. */
  constructor(elapsed: () => number) {
    this.#elapsed = elapsed
  }

  /** `giveUp` is told when the place goes to another. @throws AuditError AUDIT_BUSY */
  take(operator: string, giveUp: (why: AuditError) => void): Place {
    const all = [...this.#taken]
    const own = all.filter((one) => one.operator === operator)
    if (own.length >= searchPlaces.ofEach) this.#free(own, `${own.length} searches of ${operator} run at once`)
    else if (all.length >= searchPlaces.all) this.#free(all, `${all.length} searches of the log run at once`)
    const taken: Taken = { operator, giveUp, offeredAt: undefined }
    this.#taken.add(taken)
    return {
      offered: () => void (taken.offeredAt = this.#elapsed()),
      taken: () => void (taken.offeredAt = undefined),
      leave: () => void this.#taken.delete(taken),
    }
  }

  #free(among: readonly Taken[], busy: string): void {
    const since = ({ offeredAt = Infinity }: Taken) => offeredAt
    const [slowest] = among.toSorted((one, other) => since(one) - since(other))
    if (!slowest || this.#elapsed() - since(slowest) < patienceMs)
      throw new AuditError('AUDIT_BUSY', `${busy}; try again later`)
    this.#taken.delete(slowest)
    const why = `nothing of this search was read for ${patienceMs / 1000} s, and ${busy}: its place went to another`
    slowest.giveUp(new AuditError('AUDIT_BUSY', why))
  }
}
