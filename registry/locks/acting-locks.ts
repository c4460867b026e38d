import type { LockId, RegistryEvent } from '#protocol'
import { RegistryError } from '../errors.js'
import type { Journal } from '../journal.js'
import type { Lock, RegistryState } from '../state.js'
import { type Clocks, LockTimes } from './lock-times.js'

export type LockEnd = Extract<RegistryEvent, { readonly event: 'lock.remove' | 'lock.expire' }>

/** Which locks act: those of the registry, and those whose end is not on record yet. */
export class ActingLocks {
  readonly #state: RegistryState
  readonly #journal: Pick<Journal, 'change'>
  readonly #times: LockTimes
  /** Their end is on its way to the disk: until it is there they act, and where it cannot get there they go on. */
  readonly #ending = new Map<LockId, Lock>()

  constructor(state: RegistryState, journal: Pick<Journal, 'change'>, clocks: Clocks) {
    this.#state = state
    this.#journal = journal
    this.#times = new LockTimes(clocks)
    for (const lock of state.locks.values()) this.#times.begin(lock)
  }

  all(): readonly Lock[] {
    const isEnding = [...this.#ending.values()].filter(({ id }) => !this.#state.locks.has(id))
    return [...this.#state.locks.values(), ...isEnding]
  }

  /** Those whose time is over. */
  due(): readonly Lock[] {
    return this.#state.locks.values().filter((lock) => this.#times.isOver(lock))
  }

  /** Whether it may be ended: it is there, and nobody has begun to. */
  has(id: LockId): boolean {
    return this.#state.locks.has(id)
  }

  /** @throws RegistryError LOCK_UNKNOWN where it is not in the registry */
  begin(id: LockId): Lock {
    const lock = this.#require(id)
    this.#times.begin(lock)
    return lock
  }

  /** What opens is recorded first and acts second: when this resolves, the lock acts no more. @throws RegistryError LOCK_UNKNOWN */
  async end(event: LockEnd): Promise<Lock> {
    const lock = this.#require(event.lock)
    this.#ending.set(lock.id, lock)
    try {
      await this.#journal.change(event)
    } catch (error) {
      if (this.has(lock.id)) this.#ending.delete(lock.id) // the log has not even taken it
      throw error
    }
    this.#ending.delete(lock.id)
    this.#times.forget(lock.id)
    return lock
  }

  #require(id: LockId): Lock {
    const lock = this.#state.locks.get(id)
    if (lock === undefined) throw new RegistryError('LOCK_UNKNOWN', `lock ${id} is not known`)
    return lock
  }
}
