import type { Device } from '#registry'
import { Turns } from '../turns.js'
import { listPage, type Page, type Wanted } from './listing.js'
import { Sight, type Sources } from './sight.js'

export interface InventoryOptions extends Sources {
  readonly registry: Sources['registry'] & { devices(): readonly Device[] }
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
}

/** The fleet as operators look at it: one device, or all that a query matches, a page at a time. */
export class Inventory {
  readonly #options: InventoryOptions

  constructor(options: InventoryOptions) {
    this.#options = options
  }

  sight(device: Device): Sight {
    return new Sight(device, this.#options)
  }

  /** `leaving`: aborted when nobody waits for it any more. @throws ServerError QUERY_INVALID; the signal's reason */
  async page(wanted: Wanted, leaving: AbortSignal): Promise<Page> {
    const { registry, elapsed } = this.#options
    return listPage(registry.devices(), this.#options, wanted, new Turns(elapsed, leaving))
  }
}
