import type { AuditTrail, DeviceId } from '#protocol'
import { Repeats } from '../repeats.js'

/** That a device asked which services there are. */
export interface DiscoveryRead {
  readonly device: DeviceId
  /** With its port. */
  readonly peer: string
  /** As it was asked; absent where several are counted together, or nothing was answered. */
  readonly query?: string
  /** Why it was refused; absent where it was answered. */
  readonly reason?: string
  readonly policyVersion?: number
}

/**
 * Who asked for services stands in the log: at once, and what the same device asks within the next seconds in one record
 * with a count, however it asks. So none of them can fill the log, and there are no more windows than devices.
 */
export class DiscoveryReads {
  readonly #repeats: Repeats<DiscoveryRead>

  constructor(audit: AuditTrail) {
    this.#repeats = new Repeats((read, count) => {
      audit.append({ event: 'services.discover', ...read, ...(count > 1 && { count }) })
    }, asOne)
  }

  /** @throws CodedError AUDIT_CLOSED, AUDIT_FULL: nothing is told that could not be recorded */
  add(read: DiscoveryRead): void {
    const outcome = read.reason === undefined ? 'answered' : read.reason
    this.#repeats.add(`${read.device} ${outcome}`, read)
  }

  /** Records what is still being counted. */
  flush(): void {
    this.#repeats.flush()
  }
}

function asOne(one: DiscoveryRead, other: DiscoveryRead): DiscoveryRead {
  const { query, ...rest } = one
  return query === other.query ? one : rest
}
