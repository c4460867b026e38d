import type { Command } from 'commander'
import type { Act, RollbackPolicyAnswer } from '#protocol'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import type { Output } from '../../output.js'
import { commented, commentOption, parseCount } from '../arguments.js'
import { examples } from '../examples.js'

interface RollbackOptions extends Act {
  readonly dryRun?: true
  readonly yes?: true
}

export function addRollback(policy: Command, { client, output, typed }: Context): void {
  policy
    .command('rollback')
    .argument('[version]', 'one of "touchmark policy history"; default: the one before', parseCount)
    .description('put what an earlier policy says in force again, at once and for live sessions too')
    .addHelpText(
      'after',
      '\nIt becomes a version of its own, one above the last, so that a number never means two policies. Its tests run' +
        '\nagain.',
    )
    .addHelpText('after', examples("policy rollback --comment 'pumps fell silent'", 'policy rollback 6 --dry-run'))
    .option(...commentOption)
    .option('--dry-run', 'only check it')
    .option('--yes', 'do not ask')
    .action(async (version: number | undefined, { dryRun, yes, ...why }: RollbackOptions) => {
      const ask = (more: { version?: number; dryRun?: boolean }) =>
        client().call('rollbackPolicy', { body: { ...more, ...commented(why) } })
      const tried = await ask({ ...(version !== undefined && { version }), dryRun: true })
      if (dryRun) return report(output(), tried)
      if (yes === undefined) await confirm(typed, tried)
      // By its number, so that it is what was shown, whatever came into force meanwhile.
      report(output(), await ask({ version: tried.restores }))
    })
}

/** The number is typed, and not a yes: who meant another version sees which one it is. */
async function confirm(typed: Context['typed'], { version, restores }: RollbackPolicyAnswer): Promise<void> {
  const question = `What version ${restores} says comes into force again, as version ${version}`
  if (await typed(question, String(restores))) return
  throw new CliError('USAGE', 'nothing was changed: something else was typed')
}

function report(output: Output, answer: RollbackPolicyAnswer): void {
  output.one(answer, [
    ['version', String(answer.version)],
    ['says the same as', String(answer.restores)],
    ['hash', answer.hash],
    ['tests passed', String(answer.tests.passed)],
    ['sessions checked', answer.dryRun ? undefined : String(answer.sessions)],
  ])
  if (answer.dryRun) output.note('Nothing was changed (--dry-run).')
}
