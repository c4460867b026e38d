import type { Command } from 'commander'
import type { Context } from '../context.js'
import { addExport } from './audit/export.js'
import { addProve } from './audit/prove.js'
import { addErase } from './audit/erase.js'
import { addPayload } from './audit/payload.js'
import { addPrune } from './audit/prune.js'
import { addReplay } from './audit/replay.js'
import { addRotateKey } from './audit/rotate-key.js'
import { addSearch } from './audit/search.js'
import { addTail } from './audit/tail.js'
import { addVerify } from './audit/verify.js'

export function addAudit(program: Command, context: Context): void {
  const audit = program.command('audit').description('what was said and done, and the proof of it')
  addTail(audit, context)
  addSearch(audit, context)
  addExport(audit, context)
  addReplay(audit, context)
  addProve(audit, context)
  addVerify(audit, context)
  addRotateKey(audit, context)
  addPayload(audit, context)
  addErase(audit, context)
  addPrune(audit, context)
}
