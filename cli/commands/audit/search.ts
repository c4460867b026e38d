import type { Command } from 'commander'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import type { Output } from '../../output.js'
import { examples } from '../examples.js'
import { recordPrinter } from './printer.js'
import { addQuery, type QueryOptions, readQuery } from './query.js'
import { parseRecord } from './record.js'

const defaultLimit = 100

export function addSearch(audit: Command, { client, output }: Context): void {
  addQuery(audit.command('search'), { order: 'newest', limit: String(defaultLimit) })
    .description('records that match all that is given, newest first')
    .addHelpText(
      'after',
      examples(
        'audit search device:pump-7 decision:deny since:2h',
        "audit search --topic 'devices/+/state' --since 2026-11-23 --order oldest",
        'audit search event:device.revoke -o wide',
        'audit search operator:admin since:7d -o json | jq .event',
      ),
    )
    .action((words: readonly string[], options: QueryOptions) => search(client(), output(), words, options))
}

async function search(
  client: ApiClient,
  output: Output,
  words: readonly string[],
  options: QueryOptions,
): Promise<void> {
  const { parameters, query } = readQuery(words, options)
  const limit = query.limit ?? defaultLimit
  const bounded = query.limit === undefined ? { ...parameters, limit: String(limit) } : parameters
  const print = recordPrinter(output)
  let found = 0
  let last = 0
  for await (const line of client.lines('searchAudit', { query: bounded })) {
    const record = parseRecord(line)
    print(record)
    found++
    last = record.sequence
  }
  if (found === 0) output.note('Nothing matches.')
  else if (found === limit) output.note(`These are the first ${limit}; --limit N shows more, --after ${last} goes on.`)
}
