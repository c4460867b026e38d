import type { PolicyImpact, PolicySuggestion, WorkLine } from '#protocol'
import type { ApiClient, Call } from './client.js'
import { CliError } from './errors.js'
import type { Output } from './output.js'

/** What long work comes to in the end. */
export interface WorkAnswers {
  readonly shadowPolicy: PolicyImpact
  readonly suggestPolicy: PolicySuggestion
}

/** Has the server do what takes long, and shows how far it is; whoever interrupts it, ends it there too. */
export async function work<Name extends keyof WorkAnswers>(
  client: ApiClient,
  output: Output,
  name: Name,
  call: Call,
): Promise<WorkAnswers[Name]> {
  const progress = output.progress()
  try {
    for await (const line of client.lines(name, call)) {
      // Our own root vouches for the sender.
      const said = JSON.parse(line) as WorkLine<WorkAnswers[Name]>
      if ('answer' in said) return said.answer
      progress.update(said.progress.done, said.progress.total)
    }
  } finally {
    progress.end()
  }
  throw new CliError('BAD_ANSWER', `the answer to ${name} breaks off`)
}
