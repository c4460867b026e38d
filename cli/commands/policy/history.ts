import type { Command } from 'commander'
import type { PolicyVersionView } from '#protocol'
import type { Context } from '../../context.js'
import type { Column } from '../../output.js'
import { formatTime } from '../arguments.js'
import { examples } from '../examples.js'

const columns: readonly Column<PolicyVersionView>[] = [
  { name: 'version', of: ({ version, inForce }) => (inForce ? `${version} *` : String(version)) },
  { name: 'since', of: ({ since }) => formatTime(since ?? '') },
  { name: 'by', of: ({ operator }) => operator ?? '' },
  { name: 'tests', of: ({ tests }) => formatCount(tests) },
  { name: 'restores', of: ({ restores }) => formatCount(restores) },
  { name: 'record', of: ({ record }) => formatCount(record) },
  { name: 'hash', of: ({ hash }) => hash?.slice(0, 12) ?? '' },
  { name: 'from', of: ({ peer }) => peer ?? '', wide: true },
  { name: 'comment', of: ({ comment }) => comment ?? '' },
]

export function addHistory(policy: Command, { client, output }: Context): void {
  policy
    .command('history')
    .description('every policy that was in force, newest first, and whose act that was')
    .addHelpText(
      'after',
      '\n* is in force now. RECORD is its place in the audit log: "touchmark audit prove RECORD" proves it.',
    )
    .addHelpText('after', examples('policy history', 'policy history -o json'))
    .action(async () => output().list(await client().call('listPolicyVersions'), columns))
}

function formatCount(count: number | undefined): string {
  return count === undefined ? '' : String(count)
}
