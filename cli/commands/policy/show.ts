import type { Command } from 'commander'
import type { Context } from '../../context.js'
import { examples } from '../examples.js'

export function addShow(policy: Command, { client, output }: Context): void {
  policy
    .command('show')
    .description('the policy in force')
    .addHelpText('after', examples('policy show > policy.yaml'))
    .action(async () => {
      const view = await client().call('getPolicy')
      if (output().format === 'table' || output().format === 'wide') {
        output().note(`version ${view.version}, ${view.hash}`)
        output().text(view.source.trimEnd())
      } else output().one(view, [])
    })
}
