import type { ApiClient } from './client.js'
import type { Output } from './output.js'
import type { Settings } from './settings.js'

/** What a command gets; each part is made when it is first asked for, so that offline commands need no credential. */
export interface Context {
  readonly settings: () => Settings
  readonly client: () => ApiClient
  readonly output: () => Output
}
