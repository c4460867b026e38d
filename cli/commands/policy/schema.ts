import type { Command } from 'commander'
import { policySchema } from '#policy'
import type { Context } from '../../context.js'
import { encodeJson } from '../../output.js'
import { examples } from '../examples.js'

export function addSchema(policy: Command, { output }: Context): void {
  policy
    .command('schema')
    .description('JSON Schema of a policy file, for editors; needs no server')
    .addHelpText('after', examples('policy schema > policy.schema.json'))
    .action(() => output().text(encodeJson(policySchema, 2)))
}
