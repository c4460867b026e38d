import type { Command } from 'commander'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import type { Output } from '../../output.js'
import { parseCount } from '../arguments.js'
import { examples } from '../examples.js'
import { recordPrinter } from './printer.js'
import { addNarrowing, type QueryOptions, readQuery } from './query.js'
import { parseRecord, type Record } from './record.js'

interface TailOptions extends QueryOptions {
  readonly lines: number
  readonly follow?: true
}

export function addTail(audit: Command, { client, output }: Context): void {
  addNarrowing(audit.command('tail'))
    .description('the last records that match all that is given, oldest first')
    .option('-n, --lines <n>', 'how many', parseCount, 20)
    .option('-f, --follow', 'go on with what is recorded from now on')
    .addHelpText(
      'after',
      examples('audit tail -n 5 -f', 'audit tail -f device:pump-7 decision:deny', 'audit tail -o json | jq .event'),
    )
    .action((words: readonly string[], options: TailOptions) => tail(client(), output(), words, options))
}

async function tail(
  client: ApiClient,
  output: Output,
  words: readonly string[],
  { lines, follow, ...options }: TailOptions,
): Promise<void> {
  const { parameters, query } = readQuery(words, options)
  if (query.order !== undefined || query.limit !== undefined)
    throw new CliError('USAGE', 'tail shows the newest, and -n says how many: give neither "order" nor "limit"')
  if (follow && query.until !== undefined) throw new CliError('USAGE', '-f goes on without an end: give no "until"')
  if (follow && query.after !== undefined) throw new CliError('USAGE', '-f goes on with what comes: give no "after"')
  const size = follow ? (await client.call('status')).audit.durable + 1 : 0 // before the search, so that nothing falls between
  const newest: Record[] = []
  const limit = String(Math.max(lines, 1))
  for await (const line of client.lines('searchAudit', { query: { ...parameters, limit } }))
    newest.push(parseRecord(line))
  const shown = newest.slice(0, lines).toReversed()
  const print = recordPrinter(output)
  for (const record of shown) print(record)
  if (!follow) return
  const from = Math.max(size, (newest[0]?.sequence ?? -1) + 1)
  const following = { ...parameters, follow: 'true', ...(from > 0 && { after: String(from - 1) }) }
  for await (const line of client.lines('searchAudit', { query: following })) print(parseRecord(line))
  output.note('The service has stopped.') // without an error only then
}
