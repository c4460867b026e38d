import { type DeviceId, isName, messageOf, parseDeviceId } from '#protocol'
import type { Store } from '#store'

const prefix = 'server/heard/'
/** So long a time can be lost when the power goes; who connects again is heard of again. */
const keepEveryMilliseconds = 300_000
/** So many marks go to the disk together: others want to write meanwhile. */
const keptTogether = 1000

export interface LastHeardOptions {
  readonly store: Store
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Told why marks could not be kept; they are tried again at the next look. */
  readonly warn: (sentence: string) => void
}

/**
 * When each device was last heard of: in memory at every connection and its end, and in the store now and then. It is no
 * record: the log has those, and a million devices must not cost a write each time that one moves.
 */
export class LastHeard {
  readonly #options: LastHeardOptions
  readonly #times: Map<DeviceId, number>
  #changed = new Set<DeviceId>()
  #keeping: Promise<void> = Promise.resolve()

  /** What the process before had kept. @throws StoreError */
  static async open(options: LastHeardOptions): Promise<LastHeard> {
    const times = new Map<DeviceId, number>()
    for await (const [key, value] of options.store.entries(prefix)) {
      const [device, time] = [key.slice(prefix.length), Number(new TextDecoder().decode(value))]
      // A row that the disk has spoiled costs a time that comes again by itself.
      if (isName(device) && Number.isSafeInteger(time)) times.set(parseDeviceId(device), time)
    }
    return new LastHeard(options, times)
  }

  private constructor(options: LastHeardOptions, times: Map<DeviceId, number>) {
    this.#options = options
    this.#times = times
  }

  /** Milliseconds since 1970. */
  of(device: DeviceId): number | undefined {
    return this.#times.get(device)
  }

  /** It gave a sign just now. One that the registry does not know is none: the map grows with the fleet and no further. */
  note(device: DeviceId): void {
    this.#times.set(device, this.#options.now())
    this.#changed.add(device)
  }

  /** Keeps now and then what has changed, until it is told to stop; then once more. */
  start(): () => Promise<void> {
    const timer = setInterval(() => void this.keep(), keepEveryMilliseconds).unref()
    return () => {
      clearInterval(timer)
      return this.keep()
    }
  }

  /** Never rejects: a time is not worth a failure. */
  keep(): Promise<void> {
    this.#keeping = this.#keeping.then(() => this.#keepChanged())
    return this.#keeping
  }

  async #keepChanged(): Promise<void> {
    const changed = [...this.#changed]
    this.#changed = new Set()
    try {
      for (let at = 0; at < changed.length; at += keptTogether) {
        const puts = changed
          .slice(at, at + keptTogether)
          .map((device) => [keyOf(device), this.#encoded(device)] as const)
        await this.#options.store.commit({ puts })
      }
    } catch (error) {
      for (const device of changed) this.#changed.add(device)
      this.#options.warn(`could not keep when devices were last heard of: ${messageOf(error)}`)
    }
  }

  #encoded(device: DeviceId): Uint8Array {
    return new TextEncoder().encode(String(this.#times.get(device)))
  }
}

function keyOf(device: DeviceId): string {
  return `${prefix}${device}`
}
