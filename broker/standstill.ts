import type { Connection } from './connection.js'
import { unrecordable } from './dispatch.js'
import type { Hub } from './hub.js'

/**
 * What happens to all connections when nothing can be promised to any: while the audit log cannot keep up, or the lease
 * of the lock feed is over, nobody is read; and when that lasts, sessions end.
 */
export class Standstill {
  readonly #hub: Hub
  readonly #connections: ReadonlySet<Connection>
  /** Why nobody is read. */
  readonly #why = new Set<'log' | 'lease'>()
  /** Since when the audit log cannot keep up. */
  #congestedSince: number | undefined
  /** Whether the last sweep found the lease given up. */
  #cutOff = false

  constructor(hub: Hub, connections: ReadonlySet<Connection>) {
    this.#hub = hub
    this.#connections = connections
  }

  /** For a connection that begins. A log that has failed is nothing to wait for: then it is read, and turned away. */
  welcome(connection: Connection): void {
    if (this.#why.size > 0 && this.#hub.healthy) connection.hold()
  }

  /** While the log cannot keep up, nobody is read; and when that lasts, see {@link #tellPublishers}. */
  logCongested(congested: boolean): void {
    this.#congestedSince = congested ? this.#hub.elapsed() : undefined
    this.#hold('log', congested)
  }

  /** While the lease is over nobody is read and nothing is written, see {@link Writer}. */
  lookAtLease(): void {
    const { holds } = this.#hub.lease
    this.#hold('lease', !holds)
    if (holds) for (const { writer } of this.#connections) writer.resume()
  }

  sweep(): void {
    const { elapsed, limits } = this.#hub
    this.lookAtLease()
    this.#giveUp()
    const isLong = (since: number) => elapsed() - since >= limits.congestionSeconds * 1000
    if (this.#congestedSince !== undefined && isLong(this.#congestedSince)) this.#tellPublishers()
  }

  /** What was promised can no longer be kept, so nobody is told that it was. */
  endAll(comment: string): void {
    for (const connection of this.#connections) connection.close('internal', comment)
  }

  #hold(why: 'log' | 'lease', holding: boolean): void {
    const before = this.#why.size > 0
    if (holding) this.#why.add(why)
    else this.#why.delete(why)
    const now = this.#why.size > 0
    if (now === before) return
    for (const connection of this.#connections) {
      if (now) connection.hold()
      else connection.release()
    }
  }

  /** Not by one look: in a process that stood still it can come just before the beat that renews the lease. */
  #giveUp(): void {
    const { isGivenUp } = this.#hub.lease
    if (isGivenUp && this.#cutOff) this.endAll('cut off from the lock feed')
    this.#cutOff = isGivenUp
  }

  /**
   * Publishers that wait are told, those of MQTT 5 why. What they sent stays recorded and is delivered, and not
   * acknowledged. A full disk can stay full for hours: then all are read again, so that whoever publishes is told that
   * it cannot be recorded, and who only listens can stay.
   */
  #tellPublishers(): void {
    for (const connection of this.#connections) {
      if (!connection.backlog.isEmpty) connection.close('internal', 'the audit log is congested', unrecordable)
    }
    this.#hold('log', !this.#hub.options.audit.full)
  }
}
