import { type Command, Option } from 'commander'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import type { Output } from '../../output.js'
import { parseCount, parseDuration } from '../arguments.js'
import { examples } from '../examples.js'
import { parseRecord, printRecord } from './record.js'

interface SearchOptions {
  readonly since?: number
  readonly until?: number
  readonly device?: string
  readonly topic?: string
  readonly decision?: string
  readonly rule?: string
  readonly event?: string
  readonly order: string
  readonly limit: number
}

export function addSearch(audit: Command, { client, output }: Context): void {
  audit
    .command('search')
    .description('records that match all that is given, newest first')
    .addHelpText(
      'after',
      examples(
        'audit search --device pump-7 --since 2h',
        "audit search --decision deny --topic 'devices/+/state'",
        'audit search --event device.revoke -o wide',
      ),
    )
    .option('--since <duration>', 'not older than, such as 2h', parseDuration)
    .option('--until <duration>', 'older than, such as 10m', parseDuration)
    .option('--device <id>')
    .option('--topic <filter>', "topics that an MQTT filter matches, such as 'devices/+/state'")
    .addOption(new Option('--decision <decision>').choices(['allow', 'deny']))
    .option('--rule <rule>', 'a rule that took part, as role/rule')
    .option('--event <event>', 'such as message.publish')
    .addOption(new Option('--order <order>').choices(['newest', 'oldest']).default('newest'))
    .option('--limit <n>', 'at most so many', parseCount, 100)
    .action((options: SearchOptions) => search(client(), output(), options))
}

async function search(client: ApiClient, output: Output, options: SearchOptions): Promise<void> {
  const { since, until, device, topic, decision, rule, event, order, limit } = options
  const query = {
    since: ago(since),
    until: ago(until),
    device,
    topic,
    decision,
    rule,
    event,
    order,
    limit: String(limit),
  }
  let found = 0
  for await (const line of client.lines('searchAudit', { query })) {
    printRecord(output, parseRecord(line))
    found++
  }
  if (found === 0) output.note('Nothing matches.')
  if (found === limit) output.note(`These are the first ${limit}; --limit N shows more.`)
}

function ago(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : new Date(Date.now() - seconds * 1000).toISOString()
}
