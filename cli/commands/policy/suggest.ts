import type { Command } from 'commander'
import type { LookedAt, PolicySuggestion, RuleSuggestion } from '#protocol'
import type { Context } from '../../context.js'
import { writeNamed } from '../../named-files.js'
import type { Column, Output } from '../../output.js'
import { work } from '../../work.js'
import { parseCount } from '../arguments.js'
import { examples } from '../examples.js'

interface SuggestOptions {
  readonly role?: string
  readonly days?: number
  readonly file?: string
}

export function addSuggest(policy: Command, { client, output }: Context): void {
  policy
    .command('suggest')
    .description(
      'the least of the policy in force that still allows what devices did; a proposal, never applied by itself',
    )
    .addHelpText('after', examples('policy suggest --days 90', 'policy suggest --role gateway --file proposal.yaml'))
    .option('--role <role>', 'only the rules of this role')
    .option('--days <n>', 'how far to look back in the audit log (default: 30)', parseCount)
    .option('--file <file>', 'write the whole proposal there too')
    .action(async ({ role, days, file }: SuggestOptions) => {
      const query = { role, ...(days !== undefined && { days: String(days) }) }
      const suggestion = await work(client(), output(), 'suggestPolicy', { query })
      print(output(), suggestion)
      if (file !== undefined) writeNamed(file, suggestion.source)
    })
}

function print(output: Output, suggestion: PolicySuggestion): void {
  const { looked, rules, diff, failingTests } = suggestion
  if (output.format === 'json' || output.format === 'yaml') return output.one(suggestion, [])
  output.list(rules, columns)
  if (output.format === 'csv') return
  output.text(diff === '' ? 'Nothing is to be taken away.' : diff.trimEnd())
  for (const line of cautions(looked)) output.note(line)
  for (const test of failingTests) output.note(`This test of the policy would fail: ${test}`)
}

const columns: readonly Column<RuleSuggestion>[] = [
  { name: 'rule', of: ({ rule }) => rule },
  { name: 'proposal', of: ({ proposal }) => proposal },
  { name: 'count', of: ({ count }) => String(count) },
  { name: 'last used', of: ({ lastUsed, count }) => lastUsed ?? (count > 0 ? 'now' : 'not in these days') },
  { name: 'topics', of: ({ topics }) => topics.join(' ') },
  { name: 'at', of: ({ at }) => at, wide: true },
]

/** What it rests on, and what it could not see. */
function cautions({ days, from, until, logBegins, records, allowed, denied, ...rest }: LookedAt): readonly string[] {
  const { unknownDevices, notAllowedNow } = rest
  return [
    `Looked from ${from} to ${until}: ${records} records, ${allowed} of what devices were allowed.`,
    ...(logBegins === undefined
      ? []
      : [`The log begins at ${logBegins}, not ${days} days ago: what was used only before then looks unused.`]),
    ...(denied > 0 ? [`Refused: ${denied}; nothing is proposed for that.`] : []),
    ...(unknownDevices > 0 ? [`Of devices that are not known any more: ${unknownDevices}.`] : []),
    ...(notAllowedNow > 0 ? [`Not allowed any more: ${notAllowedNow}.`] : []),
    'This is a proposal. Try it with "policy apply FILE --dry-run" before it counts.',
  ]
}
