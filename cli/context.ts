import type { ApiClient } from './client.js'
import type { Output } from './output.js'
import type { Settings } from './settings.js'

/** What a command gets; each part is made when it is first asked for, so that offline commands need no credential. */
export interface Context {
  readonly settings: () => Settings
  readonly client: () => ApiClient
  readonly output: () => Output
  /** Asks a person at the terminal to type a word; true when it is just that. @throws CliError USAGE where nobody sits there */
  readonly typed: (question: string, word: string) => Promise<boolean>
}
