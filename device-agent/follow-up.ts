import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { messageOf } from '#protocol'
import { renewing, waitAfter } from './back-off.js'
import type { Disk } from './disk.js'
import type { IssuedGeneration } from './generation.js'
import type { Hook } from './hooks/hook.js'
import { type HookSurroundings, runHooks } from './hooks/run-hooks.js'
import type { Output } from './outputs/output.js'
import { writeOutputs } from './outputs/write-outputs.js'

export interface FollowUpOptions extends HookSurroundings {
  readonly outputs: readonly Output[]
  readonly hooks: readonly Hook[]
  /** The state folder, which remembers for which certificate it was done. */
  readonly folder: string
  readonly disk: Disk
  /** 0 to 1. */
  readonly random: () => number
  /** Ends early when the signal says so. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>
  /** What is wrong with it, for people; nothing when all is well. */
  readonly report: (problems: readonly string[]) => Promise<void>
}

/**
 * What follows when a certificate has proven itself at the broker: other programs get it, and are told. The one before
 * opens nothing from then on, so what fails is done again, more and more seldom, until it works or the next certificate
 * comes. Nothing here ever keeps the device itself from connecting or renewing.
 */
export class FollowUp {
  readonly #options: FollowUpOptions
  #superseded = new AbortController()
  #working: Promise<void> = Promise.resolve()

  constructor(options: FollowUpOptions) {
    this.#options = options
  }

  /** Begins it, unless it was done for this generation already. Returns at once. */
  proven(generation: IssuedGeneration): void {
    const { outputs, hooks, log, stopped } = this.#options
    if (outputs.length === 0 && hooks.length === 0) return
    this.#superseded.abort()
    this.#superseded = new AbortController()
    const wanted = AbortSignal.any([this.#superseded.signal, stopped])
    this.#working = this.#working
      .then(() => this.#untilDone(generation, wanted))
      .catch((error: unknown) => log('follow-up failed', { message: messageOf(error) }))
  }

  /** Resolves when nothing of it goes on; soon, once it was stopped. */
  async ended(): Promise<void> {
    await this.#working
  }

  async #untilDone(generation: IssuedGeneration, wanted: AbortSignal): Promise<void> {
    const { outputs, hooks, log, random, sleep, report } = this.#options
    for (let failures = 1; !wanted.aborted; failures++) {
      if (await this.#isDone(generation)) return
      const problems = [
        ...(await writeOutputs(outputs, generation, log)),
        ...(await runHooks(hooks, generation, this.#options)),
      ]
      if (wanted.aborted) return
      await report(problems)
      if (problems.length === 0) return this.#remember(generation)
      await sleep(waitAfter(renewing, failures, random), wanted)
    }
  }

  async #isDone(generation: IssuedGeneration): Promise<boolean> {
    const done = await this.#options.disk.read(this.#file).catch(() => undefined)
    return done?.trim() === this.#markOf(generation)
  }

  async #remember(generation: IssuedGeneration): Promise<void> {
    const { disk, log } = this.#options
    await disk.write(this.#file, `${this.#markOf(generation)}\n`).catch((error: unknown) => {
      log('follow-up not remembered', { message: messageOf(error) }) // so it is done once more at the next start
    })
  }

  /** Another certificate, or other settings, make it due. */
  #markOf({ certificateChain }: IssuedGeneration): string {
    const { outputs, hooks } = this.#options
    return createHash('sha256').update(JSON.stringify({ certificateChain, outputs, hooks })).digest('hex')
  }

  get #file(): string {
    return join(this.#options.folder, 'followed-up')
  }
}
