import type { Command } from 'commander'
import type { ApiClient } from '../client.js'
import type { Context } from '../context.js'
import { parseCount } from './arguments.js'
import { recordPrinter } from './audit/printer.js'
import { parseRecord, type Record } from './audit/record.js'
import { examples } from './examples.js'

/** What the log says of a lock's life, apart from the revocations that it brought. */
const events = ['lock.add', 'lock.remove', 'lock.expire', 'lock.applied'] as const

export function addLockHistory(locks: Command, { client, output }: Context): void {
  locks
    .command('history')
    .description('what became of locks, newest first: who made and removed them, when they ended, and what they ended')
    .addHelpText('after', examples('locks history', 'locks history --limit 20 -o json'))
    .option('--limit <count>', 'at most so many records', parseCount, 100)
    .action(async ({ limit }: { limit: number }) => {
      const found = await Promise.all(events.map((event) => newest(client(), event, limit)))
      const records = found.flat().toSorted((one, other) => other.sequence - one.sequence)
      const print = recordPrinter(output())
      for (const record of records.slice(0, limit)) print(record)
      if (records.length === 0) output().note('There was never a lock.')
    })
}

async function newest(client: ApiClient, event: string, limit: number): Promise<readonly Record[]> {
  const records: Record[] = []
  const query = { event, order: 'newest', limit: String(limit) }
  for await (const line of client.lines('searchAudit', { query })) records.push(parseRecord(line))
  return records
}
