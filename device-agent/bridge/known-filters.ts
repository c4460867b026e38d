import { join } from 'node:path'
import { decodeJson, list, parsed, parseTopicFilter, ProtocolError, type TopicFilter } from '#protocol'
import { nodeDisk } from '../disk.js'

/**
 * The filters that the service may hold for this device. Its session outlives connections and the agent, and would go on
 * sending what nobody here wants any more; so what could not be taken back at once is taken back at the next connection.
 */
export class KnownFilters {
  readonly #path: string
  readonly #filters: Set<TopicFilter>
  readonly #failed: (error: unknown) => void
  #isWritten = true
  #writing: Promise<void> | undefined

  private constructor(path: string, filters: readonly TopicFilter[], failed: (error: unknown) => void) {
    this.#path = path
    this.#filters = new Set(filters)
    this.#failed = failed
  }

  static async open(folder: string, failed: (error: unknown) => void): Promise<KnownFilters> {
    const path = join(folder, 'filters.json')
    const content = await nodeDisk.read(path)
    return new KnownFilters(path, content === undefined ? [] : decode(content, path), failed)
  }

  get all(): readonly TopicFilter[] {
    return [...this.#filters]
  }

  add(filter: TopicFilter): void {
    if (this.#filters.has(filter)) return
    this.#filters.add(filter)
    this.#keep()
  }

  delete(filter: TopicFilter): void {
    if (this.#filters.delete(filter)) this.#keep()
  }

  /** Until what it knows is on disk. */
  async close(): Promise<void> {
    await this.#writing
  }

  /** Of many changes while one is being written only the last is written. */
  #keep(): void {
    this.#isWritten = false
    this.#writing ??= this.#write()
  }

  async #write(): Promise<void> {
    while (!this.#isWritten) {
      this.#isWritten = true
      await nodeDisk.write(this.#path, JSON.stringify(this.all), 0o600).catch(this.#failed)
    }
    this.#writing = undefined
  }
}

/** What the service holds for a device at most, with room for a while in which nothing could be taken back. */
const maxKnown = 10_000
const decodeFilters = list(parsed(parseTopicFilter), maxKnown)

/** What is not ours costs nothing but messages that nobody wants. */
function decode(content: string, path: string): readonly TopicFilter[] {
  try {
    return decodeJson(content, decodeFilters, path)
  } catch (error) {
    if (error instanceof ProtocolError) return []
    throw error
  }
}
