import { layout } from '../layout.js'
import { tileWidth } from '../tree/tiles.js'
import type { Disk } from '../writing/disk.js'
import { BundlesOnDisk } from './bundles-on-disk.js'
import { encodeMinimum, type Minimum, readMinimum } from './minimum.js'
import { requireRecorded } from './recorded.js'
import { type Keep, type Survey, survey } from './survey.js'

export interface SurveyOrder {
  readonly keep: Keep
  /** Bundles below it are to be removed first; the record that says so is durable, and a checkpoint covers it. */
  readonly minimum?: Minimum
}

/**
 * Removes bundles from the front of a log, for its writer. A crash can come at any moment: the record is in the tree
 * before the minimum is in its file, and that is there before the first bundle goes. What was to go and is still there,
 * or there again after a power cut, goes at the next survey.
 */
export class Pruner {
  readonly #directory: string
  readonly #disk: Disk
  readonly #bundles: BundlesOnDisk
  readonly #stopping = new AbortController()

  constructor(directory: string, disk: Disk) {
    this.#directory = directory
    this.#disk = disk
    this.#bundles = new BundlesOnDisk(directory, this.#stopping.signal)
  }

  /** One at a time. @throws AuditError AUDIT_CORRUPT; then nothing was removed */
  async survey({ keep, minimum }: SurveyOrder): Promise<Survey> {
    const present = minimum ?? (await readMinimum(this.#directory))
    if (present) await requireRecorded(this.#directory, present)
    if (minimum) await this.#disk.replaceFile({ path: layout.minimum(this.#directory), bytes: encodeMinimum(minimum) })
    if (present) await this.#removeBelow(present.index)
    return await survey(this.#directory, keep, this.#bundles)
  }

  /** What is under way ends at the next bundle, and fails. */
  stop(): void {
    this.#stopping.abort()
  }

  get isStopped(): boolean {
    return this.#stopping.signal.aborted
  }

  async #removeBelow(index: number): Promise<void> {
    for await (const path of this.#bundles.below(index / tileWidth)) await this.#disk.removeFile(path)
  }
}
