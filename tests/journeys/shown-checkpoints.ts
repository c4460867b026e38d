import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LogReader } from '../../audit/reading/reader.js'
import { parseCheckpoint } from '../../audit/tree/checkpoint.js'
import type { Stage } from '../../demo/stage.js'
import { requirePrefixes } from '../audit/killing.js'

/** The checkpoints that a third party could have fetched from a service, over all its lives. */
export class ShownCheckpoints {
  readonly #folder: string
  readonly #vkey: string
  readonly #notes = new Set<string>()

  constructor({ serverData }: Stage) {
    this.#folder = join(serverData, 'audit')
    this.#vkey = join(serverData, 'operator', 'audit.vkey')
  }

  /** Looks at the newest one, whether the service runs or not. */
  look(): string {
    const note = readFileSync(join(this.#folder, 'log', 'checkpoint'), 'utf8')
    this.#notes.add(note)
    return note
  }

  /** To be asked when the service has ended: each of them is of a beginning of the log as it is now. */
  async requirePrefixes(): Promise<void> {
    const { size } = parseCheckpoint(this.look())
    const reader = new LogReader(this.#folder)
    const log = {
      verifierKey: readFileSync(this.#vkey, 'utf8').trim(),
      records: (from: number) => reader.forward(from, size - 1),
    }
    await requirePrefixes(log, this.#notes)
    assert.ok(this.#notes.size > 1)
  }
}
