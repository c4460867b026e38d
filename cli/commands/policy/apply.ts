import { basename } from 'node:path'
import type { Command } from 'commander'
import type { Act } from '#protocol'
import type { Context } from '../../context.js'
import { readNamedText } from '../../named-files.js'
import { commentOption } from '../arguments.js'
import { examples } from '../examples.js'

export function addApply(policy: Command, { client, output }: Context): void {
  policy
    .command('apply')
    .argument('<file>')
    .description('put a policy in force, at once and for live sessions too')
    .addHelpText(
      'after',
      examples('policy apply policy.yaml --dry-run', "policy apply policy.yaml --comment 'ticket 4711'"),
    )
    .option(...commentOption)
    .option('--dry-run', 'only check it')
    .action(async (file: string, { comment, dryRun }: Act & { dryRun?: true }) => {
      const query = { file: basename(file), comment, ...(dryRun && { dryRun: 'true' }) }
      const source = readNamedText(file, 'a policy')
      const before = await client().call('getPolicy')
      const answer = await client().call('applyPolicy', { query, text: source })
      output().one(answer, [
        ['version', String(answer.version)],
        ['hash', answer.hash],
        ['tests passed', String(answer.tests.passed)],
        ['sessions checked', answer.dryRun ? undefined : String(answer.sessions)],
      ])
      if (answer.hash === before.hash) output().note('This policy is in force already.')
      else if (answer.dryRun) output().note('Nothing was changed (--dry-run).')
    })
}
