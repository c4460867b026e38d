import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** An executable of ours, as its users start it. */
export type ProgramName = 'touchmark' | 'touchmark-agent' | 'simulated-agent'

/** One of ours by its name, or any other by its command line. */
export type Startable = ProgramName | readonly [executable: string, ...args: string[]]

export interface Outcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. */
export async function run(
  program: ProgramName,
  args: readonly string[],
  environment: Environment = {},
): Promise<Outcome> {
  const child = launch(program, args, environment)
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()))
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { exitCode: exitCode ?? 1, ...output }
}

/** Runs a program that must succeed and answers with what it printed. */
export async function mustRun(
  program: ProgramName,
  args: readonly string[],
  environment: Environment = {},
): Promise<string> {
  const { exitCode, stdout, stderr } = await run(program, args, environment)
  if (exitCode !== 0)
    throw new Error(`"${[program, ...args].join(' ')}" ended with ${exitCode}: ${stderr.trim() || stdout.trim()}`)
  return stdout
}

type Environment = Readonly<Record<string, string>>

/** A program that goes on running; its lines are kept, so that waiting for one never races with its coming. */
export class RunningProgram {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #lines: string[] = []
  readonly #waiting = new Set<() => void>()
  readonly #ended: Promise<number | null>
  #exitCode: number | null | undefined

  constructor(program: Startable, args: readonly string[] = [], environment: Environment = {}) {
    this.#name = [program, ...args.slice(0, 1)].flat().join(' ')
    this.#child = launch(program, args, environment, 'pipe')
    this.#child.stdin?.on('error', () => undefined) // a program may end without reading all that it was told
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#take(line))
    }
    this.#ended = once(this.#child, 'close').then(([code]: (number | null)[]) => {
      this.#exitCode = code ?? null
      this.#wake()
      return code ?? null
    })
  }

  get lines(): readonly string[] {
    return this.#lines
  }

  get running(): boolean {
    return this.#exitCode === undefined
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The first line, of those printed so far and those to come, that fits. @throws Error when the program ends first or time runs out */
  async line(fits: (line: string) => boolean, timeoutMs = 20_000): Promise<string> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const found = this.#lines.find(fits)
      if (found !== undefined) return found
      const left = deadline - performance.now()
      if (!this.running) throw new Error(`${this.#name} ended with ${this.#exitCode}: ${this.#tail()}`)
      if (left <= 0) throw new Error(`${this.#name} did not say what was expected: ${this.#tail()}`)
      await this.#change(left)
    }
  }

  /** Says a line to its standard input. */
  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** Resolves with the exit code once it has ended. */
  get ended(): Promise<number | null> {
    return this.#ended
  }

  /** Asks it to end in order, and waits until it has. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.running) this.#child.kill(signal)
    return this.#ended
  }

  /** Gives up our hold on the program, so that it outlives us. */
  release(): void {
    this.#child.unref()
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
  }

  #take(line: string): void {
    this.#lines.push(line)
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      this.#waiting.add(done)
    })
  }

  #tail(): string {
    return this.#lines.slice(-8).join('\n') || '(it printed nothing)'
  }
}

function launch(
  program: Startable,
  args: readonly string[],
  environment: Environment,
  input: 'ignore' | 'pipe' = 'ignore',
): ChildProcess {
  const [executable, ...own] = typeof program === 'string' ? commandOf(program) : program
  return spawn(executable, [...own, ...args], {
    stdio: [input, 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', ...environment },
  })
}

function commandOf(program: ProgramName): Exclude<Startable, ProgramName> {
  const file = fileURLToPath(new URL(`../bin/${program}.js`, import.meta.url))
  return [process.execPath, '--enable-source-maps', file]
}
