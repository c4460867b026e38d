import { type Command, Option } from 'commander'
import { type DeviceOrder, deviceOrders, type DeviceView, ownLabel } from '#protocol'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import type { Column } from '../../output.js'
import { formatLabels, formatTime, parseCount } from '../arguments.js'
import { examples } from '../examples.js'
import { certificateInUse } from './certificate-in-use.js'

const columns: readonly Column<DeviceView>[] = [
  { name: 'id', of: (device) => device.id },
  { name: 'state', of: ({ state, standing }) => (standing === undefined ? state : `${state}, ${standing}`) },
  { name: 'online', of: (device) => (device.online ? 'yes' : 'no') },
  { name: 'tier', of: (device) => certificateInUse(device)?.tier ?? '' },
  { name: 'until', of: (device) => formatTime(certificateInUse(device)?.notAfter ?? '') },
  { name: 'labels', of: (device) => formatLabels(device.labels) },
  { name: 'profile', of: (device) => device.profile, wide: true },
  { name: 'anchors', of: (device) => device.anchors.map(({ kind, hash }) => `${kind}:${hash}`).join(' '), wide: true },
  { name: 'seen', of: ({ seen }) => formatTime(seen ?? ''), wide: true },
  ...['model', 'os', 'firmware', 'agent'].map((name) => {
    return { name, of: ({ reported = {} }: DeviceView) => ownLabel(reported, name) ?? '', wide: true } as const
  }),
]

/** What a query knows; see docs/operator.md. */
const language = `
A query is words with spaces between them. All must hold; "-" before one turns it round.
  label.NAME=VALUE                    a label that operators gave; VALUE may end with *
  id:, profile:                       text, which may end with *
  is:                                 online, offline, registered, active, revoked, locked, quarantined
  tier:                               how its key was proven: token, tpm, tpm+pcr, …
  cert:<7d  cert:>1h                  its certificate ends in less or more than that
  cert:expired  cert:none
  seen:<1h  seen:>7d  seen:never      how long ago there was last a sign of it
  model:, os:, firmware:, agent:      what the device says of itself; also fact.NAME=VALUE
Text with spaces stands in quotes: model:"RX 7". Times are 90s, 15m, 2h, 7d, 1w.`

interface ListOptions {
  readonly query?: string
  readonly order?: DeviceOrder
  readonly limit?: number
  readonly count?: true
}

export function addList(devices: Command, { client, output }: Context): void {
  devices
    .command('ls')
    .description('every device, or those that a query matches')
    .addHelpText('after', language)
    .addHelpText(
      'after',
      examples(
        'devices ls',
        "devices ls -q 'label.site=oslo is:online cert:<7d'",
        "devices ls -q 'id:pump-* -is:revoked seen:>7d' --order seen -o wide",
        "devices ls -q 'is:locked' --count",
        'devices ls --limit 20 -o json',
      ),
    )
    .option('-q, --query <query>', "such as 'label.site=oslo is:online -is:revoked'")
    .addOption(new Option('--order <order>', 'what comes first; with "-" what has most').choices(deviceOrders))
    .option('--limit <count>', 'at most so many', parseCount)
    .option('--count', 'only how many there are')
    .action(async ({ count, ...asked }: ListOptions) => {
      const api = client()
      if (count) return output().line(String(await countOf(api, asked)))
      output().list(await listOf(api, asked), columns)
    })
}

async function countOf(client: ApiClient, { query }: ListOptions): Promise<number> {
  const { count } = await client.call('listDevices', { query: { q: query, limit: '1' } })
  return count
}

/** Page by page, as far as it was asked for. */
export async function listOf(
  client: ApiClient,
  { query, order, limit = Infinity }: ListOptions,
): Promise<readonly DeviceView[]> {
  const found: DeviceView[] = []
  let after: string | undefined
  do {
    const most = limit - found.length < mostOnPage ? String(limit - found.length) : undefined
    const page = await client.call('listDevices', { query: { q: query, order, limit: most, after } })
    found.push(...page.devices)
    after = page.next
  } while (after !== undefined && found.length < limit)
  return found
}

/** As the server gives them where nothing is said. */
const mostOnPage = 1000
