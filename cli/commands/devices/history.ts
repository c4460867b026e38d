import type { Command } from 'commander'
import { type AuditEventName, parseDeviceId } from '#protocol'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import { parseCount } from '../arguments.js'
import { recordPrinter } from '../audit/printer.js'
import { parseRecord, type Record } from '../audit/record.js'
import { examples } from '../examples.js'

/** What happens to a device in its life, as the log calls it; what it says and hears meanwhile is for `audit search`. */
const eventsOfLife: readonly AuditEventName[] = [
  'device.register',
  'device.enroll',
  'device.promote',
  'device.renew',
  'device.report',
  'device.attest',
  'device.label',
  'device.rotate',
  'device.clone',
  'device.quarantine',
  'device.release',
  'device.revoke',
]

const defaultLimit = 20

export function addHistory(devices: Command, { client, output }: Context): void {
  devices
    .command('history')
    .argument('<id>')
    .description('the life of a device from the audit log: how it came, its certificates, what was done to it')
    .addHelpText('after', examples('devices history pump-7', 'devices history pump-7 --limit 100 -o wide'))
    .option('--limit <count>', 'at most so many of each kind, the newest', parseCount, defaultLimit)
    .action(async (id: string, { limit }: { readonly limit: number }) => {
      const found = await historyOf(client(), parseDeviceId(id), String(limit))
      if (found.length === 0) output().note('The log says nothing of it.')
      const print = recordPrinter(output())
      for (const record of found) print(record)
    })
}

/** Each kind is asked for by itself: the log's index finds few among millions only by what it is of and about. */
async function historyOf(client: ApiClient, device: string, limit: string): Promise<readonly Record[]> {
  const found: Record[] = []
  for (const event of eventsOfLife) {
    const lines = client.lines('searchAudit', { query: { device, event, limit } })
    for await (const line of lines) found.push(parseRecord(line))
  }
  return found.toSorted((one, other) => one.sequence - other.sequence)
}
