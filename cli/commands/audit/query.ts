import { type Command, Option } from 'commander'
import { type AuditQuery, parseQuery, type QueryParameters } from '#audit'

/** What narrows a search: a query as one text, the same terms as options, or both. */
export type QueryOptions = Omit<QueryParameters, 'q'>

const narrowing = [
  new Option('--device <id>', 'a device, such as pump-7'),
  new Option('--session <id>', 'one session of a device'),
  new Option('--topic <filter>', "topics that an MQTT filter matches, such as 'devices/+/state'"),
  new Option('--decision <decision>', 'allow or deny'),
  new Option('--rule <rule>', 'a rule that took part, as role/rule'),
  new Option('--operator <name>', 'who did it'),
  new Option('--event <event>', 'such as message.publish'),
  new Option('--since <time>', 'not before: so long ago (2h, 7d), or a moment (2026-11-23, 2026-11-23T08:00Z)'),
]

const selecting = ({ order, limit }: Defaults) => [
  new Option('--until <time>', 'before: so long ago, or a moment'),
  new Option('--order <order>', `newest or oldest first (default: ${order})`),
  new Option('--limit <n>', `at most so many (default: ${limit})`),
  new Option('--after <sequence>', 'only what comes behind this record in that order'),
]

/** `audit tail` goes by time alone: from the newest on. */
export function addNarrowing(command: Command): Command {
  return narrowing.reduce((command, option) => command.addOption(option), command.argument('[query...]', queryHelp))
}

interface Defaults {
  readonly order: string
  readonly limit: string
}

export function addQuery(command: Command, defaults: Defaults): Command {
  return selecting(defaults).reduce((command, option) => command.addOption(option), addNarrowing(command))
}

const queryHelp = "terms such as device:pump-7 decision:deny since:2h, 'topic:a/+/b'; each is an option too"

/**
 * The parameters of a search, and what they say. The server reads them again by its own clock; here a mistake is found
 * without asking it.
 * @throws AuditError QUERY_INVALID
 */
export function readQuery(
  words: readonly string[],
  options: QueryOptions,
): { parameters: QueryParameters; query: AuditQuery } {
  const parameters = { ...(words.length > 0 && { q: words.join(' ') }), ...options }
  return { parameters, query: parseQuery(parameters, Date.now()) }
}
