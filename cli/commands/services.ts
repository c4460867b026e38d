import type { Command } from 'commander'
import { type DeviceView, type FoundService, formatServicePlace, patternOf, servicesIn } from '#protocol'
import type { Context } from '../context.js'
import type { Column } from '../output.js'
import { formatLabels } from './arguments.js'
import { listOf } from './devices/ls.js'
import { examples } from './examples.js'

const columns: readonly Column<FoundService>[] = [
  { name: 'device', of: ({ device }) => device },
  { name: 'service', of: ({ service }) => service },
  { name: 'where', of: (service) => formatServicePlace(service) },
  { name: 'online', of: ({ online }) => (online ? 'yes' : 'no') },
  { name: 'labels', of: ({ labels }) => formatLabels(labels) },
]

interface ListOptions {
  readonly query?: string
  readonly service: string
  readonly protocol: string
}

export function addServices(program: Command, { client, output }: Context): void {
  const services = program.command('services').description('services that devices say they offer to others')

  services
    .command('ls')
    .description('what can be found now: not of devices that are revoked, locked or in quarantine')
    .addHelpText(
      'after',
      '\nThe query is that of "devices ls". A device offers what it reports as a fact service.NAME = [HOST:]PORT/PROTOCOL;' +
        '\nwhich devices may find it, "discover" rules of the policy say: touchmark policy can DEVICE discover OTHER/SERVICE.',
    )
    .addHelpText(
      'after',
      examples(
        'services ls',
        "services ls -q 'label.site=oslo is:online' --protocol tcp",
        "services ls --service 'opc*' -o json",
      ),
    )
    .option('-q, --query <query>', "such as 'label.site=oslo is:online'")
    .option('--service <name>', 'a name, or the beginning of one and a *', '*')
    .option('--protocol <name>', 'the same', '*')
    .action(async ({ query, service, protocol }: ListOptions) => {
      const [isService, isProtocol] = [patternOf(service), patternOf(protocol)]
      const found = (await listOf(client(), { ...(query !== undefined && { query }) })).flatMap(offeredBy)
      output().list(
        found.filter((one) => isService(one.service) && isProtocol(one.protocol)),
        columns,
      )
    })
}

function offeredBy({
  id: device,
  state,
  standing,
  labels,
  online,
  reported = {},
}: DeviceView): readonly FoundService[] {
  if (state !== 'active' || standing !== undefined) return []
  return servicesIn(reported).map((service) => ({ device, labels, ...service, online }))
}
