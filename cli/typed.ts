import { createInterface } from 'node:readline'
import { CliError } from './errors.js'
import { printable } from './printable.js'

export interface Terminal {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream
}

/**
 * For what cannot be undone: a person has to type a word, so that nobody does it in passing. True when it is just that.
 * @throws CliError USAGE where nobody sits at the terminal
 */
export async function typed({ stdin, stderr }: Terminal, question: string, word: string): Promise<boolean> {
  if (stdin.isTTY !== true)
    throw new CliError('USAGE', `${question}: nobody is there to be asked; --yes says that it is meant`)
  const lines = createInterface({ input: stdin, output: stderr })
  const answer = await new Promise<string>((resolve) => {
    lines.question(printable(`${question}. Type ${word} to go on: `), resolve)
    lines.once('close', () => resolve('')) // Ctrl-D or Ctrl-C
  })
  lines.close()
  return answer.trim() === word
}
