import type { Command } from 'commander'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import type { Output } from '../../output.js'
import { parseCount } from '../arguments.js'
import { examples } from '../examples.js'
import { parseRecord, printRecord, type Record } from './record.js'

export function addTail(audit: Command, { client, output }: Context): void {
  audit
    .command('tail')
    .description('the last records, oldest first')
    .addHelpText('after', examples('audit tail', 'audit tail -n 5 -f', 'audit tail -n 100 -o json | jq .event'))
    .option('-n, --lines <n>', 'how many', parseCount, 20)
    .option('-f, --follow', 'go on with what is recorded from now on')
    .action(({ lines, follow }: { lines: number; follow?: true }) => tail(client(), output(), lines, follow ?? false))
}

async function tail(client: ApiClient, output: Output, lines: number, follow: boolean): Promise<void> {
  const newest: Record[] = []
  const query = { order: 'newest', limit: String(Math.max(lines, 1)) }
  for await (const line of client.lines('searchAudit', { query })) newest.push(parseRecord(line))
  const shown = newest.toReversed().slice(newest.length - lines)
  for (const record of shown) printRecord(output, record)
  if (!follow) return
  const from = (newest[0]?.sequence ?? -1) + 1
  for await (const line of client.lines('searchAudit', { query: { follow: 'true', from: String(from) } })) {
    printRecord(output, parseRecord(line))
  }
}
