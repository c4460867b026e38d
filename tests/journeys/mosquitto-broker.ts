import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { freePort } from '../../demo/free-port.js'
import { runForeign, temporaryFolder } from './world.js'

/** As Debian installs it: where not everybody's PATH leads. */
export const mosquittoProgram = '/usr/sbin/mosquitto'

/** What came to a mosquitto, as `mosquitto_sub` tells it; how it came stands in the log. */
export interface Heard {
  readonly topic: string
  readonly payload: string
}

/** A broker of others, on loopback and without rights or secrets but those that the test gives it. */
export class MosquittoBroker {
  readonly port: number
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  readonly #waiting = new Set<() => void>()

  private constructor(port: number, child: ChildProcess) {
    this.port = port
    this.#child = child
    if (child.stderr === null) throw new TypeError('its log is piped')
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.#lines.push(line)
      for (const wake of this.#waiting) wake()
    })
    child.once('close', () => {
      for (const wake of this.#waiting) wake()
    })
  }

  /** `settings`: further lines of its configuration; `files` are written beside it, and FOLDER names where. */
  static async open(
    t: TestContext,
    settings: readonly string[] = [],
    files: Readonly<Record<string, string>> = {},
  ): Promise<MosquittoBroker> {
    const folder = temporaryFolder(t)
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    for (let attempt = 0; attempt < 5; attempt++) {
      const port = await freePort()
      const own = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'log_dest stderr', 'log_type all']
      if (process.getuid?.() === 0) own.push('user root')
      const lines = [...own, 'queue_qos0_messages true', ...settings]
      const file = join(folder, 'mosquitto.conf')
      writeFileSync(file, lines.join('\n').replaceAll('FOLDER', folder))
      const child = spawn(mosquittoProgram, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
      const broker = new MosquittoBroker(port, child)
      if (await broker.says(/ running$/)) {
        t.after(() => broker.#stop())
        return broker
      }
    }
    throw new Error('mosquitto has ended five times instead of listening')
  }

  get log(): string {
    return this.#lines.join('\n')
  }

  /** Resolves once its log has such a line; with false when it ends before. */
  async says(pattern: RegExp): Promise<boolean> {
    for (;;) {
      if (this.#lines.some((line) => pattern.test(line))) return true
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return false
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake)
          resolve()
        }
        this.#waiting.add(wake)
      })
    }
  }

  /** From here on everything is kept for {@link heard}. */
  async listen(): Promise<void> {
    await this.#sub('-E')
  }

  /** The first so many messages since {@link listen}. */
  async heard(count: number): Promise<readonly Heard[]> {
    const lines = await this.#sub('-C', String(count), '-W', '10', '-F', '%t\t%p')
    return lines
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [topic = '', payload = ''] = line.split('\t')
        return { topic, payload }
      })
  }

  async publish(...args: readonly string[]): Promise<void> {
    const { exitCode, stderr } = await runForeign('mosquitto_pub', [...this.#where, ...args])
    if (exitCode !== 0) throw new Error(`mosquitto_pub ended with ${exitCode}: ${stderr}`)
  }

  async #sub(...args: readonly string[]): Promise<string> {
    const session = ['-i', 'listener', '-c', '-q', '1', '-R', '-t', '#'] // at QoS 2 another order is allowed
    const { exitCode, stdout, stderr } = await runForeign('mosquitto_sub', [...this.#where, ...session, ...args])
    if (exitCode !== 0) throw new Error(`mosquitto_sub ended with ${exitCode}: ${stderr}`)
    return stdout
  }

  get #where(): readonly string[] {
    return ['-h', '127.0.0.1', '-p', String(this.port)]
  }

  async #stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'close')
    this.#child.kill('SIGTERM')
    await ended
  }
}
