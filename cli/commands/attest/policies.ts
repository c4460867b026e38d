import type { Command } from 'commander'
import type { Act, ApplyPcrPolicyAnswer, PcrPolicyView } from '#protocol'
import type { Context } from '../../context.js'
import { readNamedText } from '../../named-files.js'
import type { Column, Output } from '../../output.js'
import { commented, commentOption, formatTime } from '../arguments.js'
import { examples } from '../examples.js'

const columns: readonly Column<PcrPolicyView>[] = [
  { name: 'name', of: ({ name }) => name },
  { name: 'version', of: ({ version }) => String(version) },
  { name: 'mode', of: ({ mode }) => mode },
  { name: 'profiles', of: ({ profiles }) => profiles.join(',') },
  { name: 'pcrs', of: ({ pcrs }) => pcrs.join(',') },
  { name: 'since', of: ({ since }) => formatTime(since) },
  { name: 'by', of: ({ by }) => by },
  { name: 'comment', of: ({ comment }) => comment ?? '' },
  { name: 'hash', of: ({ hash }) => hash, wide: true },
]

interface ApplyOptions extends Act {
  readonly dryRun?: true
}

/** How many devices are named one by one. */
const namedAtMost = 10

export function addPolicies(attest: Command, { client, output }: Context): void {
  const policies = attest.command('policies').description('PCR policies: which values of which registers are good')

  policies
    .command('ls')
    .description('every PCR policy that holds')
    .addHelpText('after', examples('attest policies ls'))
    .action(async () => output().list(await client().call('listPcrPolicies'), columns))

  policies
    .command('show')
    .argument('<name>')
    .description('a PCR policy, as it was written')
    .addHelpText('after', examples('attest policies show gateways > gateways.yaml'))
    .action(async (id: string) => {
      const view = await client().call('getPcrPolicy', { id })
      if (!output().isForPeople) return output().one(view, [])
      output().note(`version ${view.version}, ${view.mode}, since ${formatTime(view.since)}`)
      output().text(view.source.trimEnd())
    })

  policies
    .command('apply')
    .argument('<file>')
    .description('put a PCR policy in force under the name that it says; whoever joins next is judged by it')
    .addHelpText(
      'after',
      examples(
        'attest policies apply gateways.yaml --dry-run',
        "attest policies apply gateways.yaml --comment 'firmware 1.7 is being rolled out'",
      ),
    )
    .option(...commentOption)
    .option('--dry-run', 'only check it, and say which devices it would find bad')
    .action(async (file: string, { dryRun, comment }: ApplyOptions) => {
      const text = readNamedText(file, 'a PCR policy in YAML')
      const query = { comment, ...(dryRun && { dryRun: 'true' }) }
      report(output(), await client().call('applyPcrPolicy', { text, query }))
    })

  policies
    .command('rm')
    .argument('<name>')
    .description('judge nobody by a PCR policy any more')
    .addHelpText('after', examples("attest policies rm gateways --comment 'scrapped'"))
    .option(...commentOption)
    .action(async (id: string, why: Act) => {
      const removed = await client().call('removePcrPolicy', { id, query: { ...commented(why) } })
      output().one(removed, [
        ['removed', removed.name],
        ['was version', String(removed.version)],
      ])
    })
}

function report(output: Output, answer: ApplyPcrPolicyAnswer): void {
  const { policy, dryRun, changed, wouldFail } = answer
  const more = wouldFail.length - namedAtMost
  const named = wouldFail.slice(0, namedAtMost).join(', ')
  output.one(answer, [
    ['policy', policy.name],
    ['version', changed ? String(policy.version) : `${policy.version}, as before`],
    ['mode', policy.mode],
    ['PCRs', policy.pcrs.join(', ')],
    ['would be bad', wouldFail.length === 0 ? 'none' : `${wouldFail.length}: ${named}${more > 0 ? ', …' : ''}`],
  ])
  if (dryRun) output.note('Nothing was changed (--dry-run).')
}
