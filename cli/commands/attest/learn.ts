import { type Command, InvalidArgumentError } from 'commander'
import { type Act, parseDeviceId, parseTime } from '#protocol'
import type { Context } from '../../context.js'
import { commented, commentOption } from '../arguments.js'
import { examples } from '../examples.js'

interface LearnOptions extends Act {
  readonly device: string
  readonly policy?: string
  readonly from?: string
  readonly until?: string
  readonly dryRun?: true
}

export function addLearn(attest: Command, { client, output }: Context): void {
  attest
    .command('learn')
    .description('take what a device quoted last for good, by a PCR policy')
    .requiredOption('--device <id>', 'a machine that is known to be in order')
    .option('--policy <name>', 'default: the one that holds for its profile; one that is not there is made, to observe')
    .option('--from <time>', 'good from then on, such as 2026-12-01T00:00:00Z', parseInstant)
    .option('--until <time>', 'good until then', parseInstant)
    .option(...commentOption)
    .option('--dry-run', 'only show what the policy would be')
    .addHelpText(
      'after',
      examples(
        'attest learn --device pump-7 --policy gateways',
        "attest learn --device pump-8 --from 2026-12-01T00:00:00Z --comment 'firmware 1.7'",
      ),
    )
    .action(async ({ device, policy, from, until, dryRun, ...why }: LearnOptions) => {
      const optional = { ...(policy !== undefined && { policy }), ...(dryRun && { dryRun }), ...commented(why) }
      const window = { ...(from !== undefined && { from }), ...(until !== undefined && { until }) }
      const body = { device: parseDeviceId(device), ...window, ...optional }
      const answer = await client().call('learnPcrs', { body })
      output().one(answer, [
        ['policy', answer.policy.name],
        ['version', String(answer.policy.version)],
        ['mode', answer.policy.mode],
        ['learned PCRs', answer.learned.join(', ') || 'none: all of its values were good before'],
      ])
      if (dryRun && output().isForPeople) output().text(answer.policy.source.trimEnd())
      if (dryRun) output().note('Nothing was changed (--dry-run).')
    })
}

function parseInstant(text: string): string {
  try {
    return parseTime(text).toISOString()
  } catch {
    throw new InvalidArgumentError('expected a time in UTC, such as 2026-12-01T00:00:00Z')
  }
}
