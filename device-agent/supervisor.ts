import { execFile } from 'node:child_process'
import type { Journal } from './journal.js'

/**
 * Tells systemd how it is (sd_notify(3)): that the agent is up, what it does, and that it still turns. Node speaks no
 * datagrams over unix sockets; systemd brings a program that does, and without systemd there is nobody to tell.
 */
export class Supervisor {
  readonly #tell: (...words: readonly string[]) => void
  readonly #watchdog: NodeJS.Timeout | undefined
  #status = ''

  constructor(environment: Readonly<Record<string, string | undefined>>, log: Journal) {
    const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, PATH } = environment
    let isAbsent = NOTIFY_SOCKET === undefined || NOTIFY_SOCKET === ''
    this.#tell = (...words) => {
      if (isAbsent) return
      const env = { NOTIFY_SOCKET, PATH: PATH ?? '/usr/bin:/bin' }
      execFile('systemd-notify', words, { env, timeout: 10_000 }, (error) => {
        if (error === null || isAbsent) return
        isAbsent = error.code === 'ENOENT'
        log('supervisor not told', { message: error.message })
      }).unref()
    }
    const watchdogMs = Number(WATCHDOG_USEC) / 1000
    const isOurs = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid
    if (isAbsent || !isOurs || !(watchdogMs > 0)) return
    this.#watchdog = setInterval(() => this.#tell('WATCHDOG=1'), watchdogMs / 2).unref() // half of it, as sd_watchdog_enabled(3) asks
  }

  /** It has begun its work; whether it has found the service yet is another matter, and stands in the status. */
  ready(): void {
    this.#tell('--ready')
  }

  status(text: string): void {
    if (text === this.#status) return
    this.#status = text
    this.#tell(`STATUS=${text.replace(/\p{C}/gu, ' ').slice(0, 500)}`)
  }

  close(): void {
    clearInterval(this.#watchdog)
    this.#tell('STOPPING=1')
  }
}
