import { type ChildProcess, fork, type ForkOptions } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A program of ours in a process of its own, which answers with one message at a time. */
export class Worker<Answer> {
  readonly child: ChildProcess
  readonly pid: number
  readonly #answers: Answer[] = []
  readonly #waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void }[] = []
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>
  #ended: Error | undefined

  constructor(program: URL, args: readonly string[], options: ForkOptions = {}) {
    this.child = fork(program, args, { ...options, stdio: ['ignore', 2, 2, 'ipc'] })
    this.pid = this.child.pid ?? 0
    this.child.on('message', (answer: Answer) => {
      const waiting = this.#waiting.shift()
      if (waiting) waiting.resolve(answer)
      else this.#answers.push(answer)
    })
    this.exited = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => {
        this.#ended = new Error(`${program.pathname} has ended: ${signal ?? code}`)
        for (const { reject } of this.#waiting) reject(this.#ended)
        resolve()
      })
    })
  }

  async next(): Promise<Answer> {
    const [answer] = this.#answers.splice(0, 1)
    if (answer !== undefined) return answer
    if (this.#ended) throw this.#ended
    return await new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  async ask(question: object): Promise<Answer> {
    this.child.send(question)
    return await this.next()
  }
}

/** User and system time of all threads of a process, the ended ones too. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // its name may hold spaces; "state" is the first now
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** proc(5): sysconf(_SC_CLK_TCK), which Linux has fixed for what it shows to programs. */
const ticksPerSecond = 100

/** The memory of a process that is in RAM now. */
export function residentBytesOf(pid: number): number {
  const [, kilobytes = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}
