import { basename } from 'node:path'
import type { Command } from 'commander'
import type { AffectedView, DiffPolicyRequest, PolicyDifference, PolicyDiff } from '#protocol'
import { diffPolicies, parsePolicy } from '#policy'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import { readNamedText } from '../../named-files.js'
import type { Column, Output } from '../../output.js'
import { parseCount } from '../arguments.js'
import { examples } from '../examples.js'

const brings = { more: 'gains', less: 'loses', other: 'differs' } as const satisfies Record<
  PolicyDifference['brings'],
  string
>

const columns: readonly Column<PolicyDifference>[] = [
  { name: 'who', of: ({ about, role }) => (about === 'role' ? (role ?? '') : [about, role ?? ''].join(' ').trim()) },
  { name: 'it', of: (change) => brings[change.brings] },
  { name: 'rule', of: ({ effect, rule }) => [effect ?? '', rule?.replace(/^[^/]*\//, '') ?? ''].join(' ').trim() },
  { name: 'what', of: ({ what }) => what },
  { name: 'from', of: ({ from }) => from ?? '' },
  { name: 'to', of: ({ to }) => to ?? '' },
  { name: 'at', of: ({ at }) => at ?? '' },
]

interface DiffOptions {
  readonly from?: number
  readonly to?: number
  readonly fromFile?: string
}

export function addDiff(policy: Command, { client, output }: Context): void {
  policy
    .command('diff')
    .argument('[file]', 'what would come into force')
    .description('who gains what and who loses what, from one policy to another')
    .addHelpText(
      'after',
      '\nWithout --from it begins at the policy in force; without a file and --to it ends there. Denials count as well: a' +
        '\ndeny that goes is a gain. With --from-file no server is asked, and no devices are counted.',
    )
    .addHelpText(
      'after',
      examples(
        'policy diff policy.yaml',
        'policy diff --from 6',
        'policy diff --from 6 --to 7',
        'policy diff policy.yaml --from-file old.yaml',
      ),
    )
    .option('--from <version>', 'one of "touchmark policy history"', parseCount)
    .option('--to <version>', 'the same', parseCount)
    .option('--from-file <file>', 'a file instead, without a server')
    .action(async (file: string | undefined, { fromFile, ...versions }: DiffOptions) => {
      const { from, to } = versions
      if (fromFile !== undefined) return showChanges(output(), compareFiles(fromFile, file, versions))
      if (file !== undefined && to !== undefined) throw new CliError('USAGE', 'expected a file or --to, got both')
      const body: DiffPolicyRequest = {
        ...(from !== undefined && { from }),
        ...(to !== undefined && { to }),
        ...(file !== undefined && { source: readNamedText(file, 'a policy'), file: basename(file) }),
      }
      show(output(), await client().call('diffPolicy', { body }))
    })
}

function compareFiles(
  older: string,
  newer: string | undefined,
  { from, to }: DiffOptions,
): readonly PolicyDifference[] {
  if (newer === undefined || from !== undefined || to !== undefined) {
    throw new CliError('USAGE', '--from-file is compared with a file, and with nothing else')
  }
  const [before, after] = [older, newer].map((file) => parsePolicy(readNamedText(file, 'a policy'), basename(file)))
  return before && after ? diffPolicies(before, after) : []
}

function show(output: Output, diff: PolicyDiff): void {
  if (!output.isForPeople && output.format !== 'csv') return output.one(diff, [])
  showChanges(output, diff.changes)
  const { known, otherRoles, more, less, other } = diff.devices
  output.note(`From version ${diff.from.version} to ${diff.to.version}, of ${known} known devices:`)
  output.note(`  gain          ${formatAffected(more)}`)
  output.note(`  lose          ${formatAffected(less)}`)
  output.note(`  differ        ${formatAffected(other)}`)
  output.note(`  other roles   ${formatAffected(otherRoles)}`)
}

function showChanges(output: Output, changes: readonly PolicyDifference[]): void {
  if (changes.length === 0 && output.isForPeople) output.note('They give the same rights.')
  else output.list(changes, columns)
}

function formatAffected({ count, first }: AffectedView): string {
  if (count === 0) return '0'
  return `${count}: ${first.join(', ')}${count > first.length ? ', …' : ''}`
}
