import type { Command } from 'commander'
import { type ApprovalView, type ApproveRequest, type Labels, parseDeviceId, parseProfileName } from '#protocol'
import type { Context } from '../context.js'
import type { Column } from '../output.js'
import { formatLabels, formatTime, parseLabel } from './arguments.js'
import { examples } from './examples.js'

const columns: readonly Column<ApprovalView>[] = [
  { name: 'hash', of: ({ hash }) => hash },
  { name: 'reason', of: ({ reason }) => reason },
  { name: 'device', of: ({ device }) => device ?? '' },
  { name: 'maker', of: ({ maker }) => maker ?? '' },
  { name: 'serial', of: ({ hardwareSerial }) => hardwareSerial ?? '' },
  { name: 'from', of: ({ peer }) => peer },
  { name: 'since', of: ({ since }) => formatTime(since) },
  { name: 'says', of: ({ reported }) => formatLabels(reported ?? {}) },
  { name: 'profile', of: ({ profile }) => profile, wide: true },
  { name: 'tier', of: ({ tier }) => tier, wide: true },
  { name: 'anchor', of: ({ anchorKind }) => anchorKind, wide: true },
  { name: 'tries', of: ({ tries }) => String(tries), wide: true },
  { name: 'last', of: ({ last }) => formatTime(last), wide: true },
]

interface ApproveOptions {
  readonly device?: string
  readonly profile?: string
  readonly label?: Labels
  readonly reason: string
}

const why = ['--reason <text>', 'why, for the audit log'] as const

export function addApprovals(program: Command, { client, output }: Context): void {
  const approvals = program.command('approvals').description('machines with genuine hardware that wait to be let in')

  approvals
    .command('ls')
    .description('who waits, the longest first; what a machine says of itself nobody has looked at')
    .addHelpText('after', examples('approvals ls', 'approvals ls -o wide'))
    .action(async () => output().list(await client().call('listApprovals'), columns))

  approvals
    .command('approve')
    .argument('<hash>')
    .description('let it in when it asks next')
    .addHelpText(
      'after',
      '\nAn unknown machine is registered by this as a new device. A known one, whose TPM was reset, keeps its name and labels.' +
        '\nCompare the hash with what "touchmark-agent ek" prints on the machine.',
    )
    .addHelpText(
      'after',
      examples(
        "approvals approve HASH --device pump-7 --label site=oslo --reason 'delivery 4711'",
        "approvals approve HASH --reason 'we have cleared its TPM'",
      ),
    )
    .option('--device <id>', 'what an unknown machine is to be called')
    .option('--profile <name>', 'enrollment profile (default: the one that it asked for)')
    .option('--label <key=value>', 'label the device gets; can be repeated', parseLabel)
    .requiredOption(...why)
    .action(async (id: string, options: ApproveOptions) => {
      const device = await client().call('approveJoin', { id, body: terms(options) })
      output().one(device, [
        ['device', device.id],
        ['profile', device.profile],
        ['labels', formatLabels(device.labels) || '-'],
      ])
      output().note('It comes in when it asks next.')
    })

  approvals
    .command('deny')
    .argument('<hash>')
    .description('refuse it for a time')
    .addHelpText('after', examples("approvals deny HASH --reason 'not one of ours'"))
    .requiredOption(...why)
    .action(async (id: string, { reason }: { readonly reason: string }) => {
      const { hash, until } = await client().call('denyJoin', { id, body: { reason } })
      output().one({ hash, until }, [
        ['denied', hash],
        ['until', formatTime(until)],
      ])
    })
}

function terms({ device, profile, label, reason }: ApproveOptions): ApproveRequest {
  return {
    ...(device !== undefined && { device: parseDeviceId(device) }),
    ...(profile !== undefined && { profile: parseProfileName(profile) }),
    ...(label !== undefined && { labels: label }),
    reason,
  }
}
