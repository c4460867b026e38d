import { styleText } from 'node:util'
import { messageOf } from '#protocol'

/** Tells the story a line at a time; colour in a terminal, plain text elsewhere. */
export class Narrator {
  readonly #colour = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined
  readonly #startedAt = performance.now()

  title(text: string): void {
    this.#print(`\n${this.#paint('bold', text)}`)
  }

  chapter(text: string): void {
    this.#print(`\n${this.#paint('cyan', text)}`)
  }

  /** What is worth knowing beside the steps. */
  note(text: string): void {
    for (const line of text.split('\n')) this.#print(this.#paint('dim', `            ${line}`))
  }

  /** Takes the step's time and tells what came of it; a step that throws ends the story. */
  async step<T>(told: string | ((result: T) => string), act: () => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    try {
      const result = await act()
      this.happened(typeof told === 'string' ? told : told(result), performance.now() - startedAt)
      return result
    } catch (cause) {
      const what = typeof told === 'string' ? told : 'this step'
      throw new StepFailed(`${what}: ${messageOf(cause)}`, { cause })
    }
  }

  /** Something whose time was taken elsewhere. */
  happened(text: string, milliseconds: number): void {
    const time = `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`
    this.#print(`${this.#paint('dim', time.padStart(9))}  ${this.#paint('green', '✓')} ${text}`)
  }

  failed(text: string): void {
    process.stderr.write(`\n${this.#paint('red', '✗')} The story stopped: ${text}\n`)
  }

  end(text: string): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1)
    this.#print(`\n${this.#paint('bold', text)} ${this.#paint('dim', `(${seconds} s)`)}\n`)
  }

  #paint(style: 'bold' | 'dim' | 'cyan' | 'green' | 'red', text: string): string {
    return this.#colour ? styleText(style, text) : text
  }

  #print(line: string): void {
    process.stdout.write(`${line}\n`)
  }
}

/** Names the step of the story that did not hold. */
export class StepFailed extends Error {}
