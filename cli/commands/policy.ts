import type { Command } from 'commander'
import type { Context } from '../context.js'
import { addApply } from './policy/apply.js'
import { addCan } from './policy/can.js'
import { addDiff } from './policy/diff.js'
import { addHistory } from './policy/history.js'
import { addRollback } from './policy/rollback.js'
import { addSchema } from './policy/schema.js'
import { addShow } from './policy/show.js'
import { addSuggest } from './policy/suggest.js'
import { addTest } from './policy/test.js'

export function addPolicy(program: Command, context: Context): void {
  const policy = program.command('policy').description('who may publish, subscribe and receive what')
  addShow(policy, context)
  addTest(policy, context)
  addSchema(policy, context)
  addCan(policy, context)
  addApply(policy, context)
  addDiff(policy, context)
  addSuggest(policy, context)
  addHistory(policy, context)
  addRollback(policy, context)
}
