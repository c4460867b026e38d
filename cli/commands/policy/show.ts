import type { Command } from 'commander'
import type { KeptPolicyView, PolicyView } from '#protocol'
import type { Context } from '../../context.js'
import type { Output } from '../../output.js'
import { formatTime, parseCount } from '../arguments.js'
import { examples } from '../examples.js'

export function addShow(policy: Command, { client, output }: Context): void {
  policy
    .command('show')
    .description('the policy in force, or one that was')
    .addHelpText('after', examples('policy show > policy.yaml', 'policy show 6'))
    .argument('[version]', 'one of "touchmark policy history"; default: the one in force', parseCount)
    .action(async (version: number | undefined) => {
      if (version === undefined) {
        const view = await client().call('getPolicy')
        return show(output(), view, `version ${view.version}, ${view.hash}`)
      }
      const view = await client().call('getPolicyVersion', { id: String(version) })
      show(output(), view, `version ${version}${view.since === undefined ? '' : `, since ${formatTime(view.since)}`}`)
    })
}

/** What is said of it goes to the person, so that the policy alone goes into a file. */
function show(output: Output, view: PolicyView | KeptPolicyView, heading: string): void {
  if (!output.isForPeople) return output.one(view, [])
  output.note(heading)
  output.text(view.source.trimEnd())
}
