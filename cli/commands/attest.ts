import type { Command } from 'commander'
import type { Context } from '../context.js'
import { addAuthorities } from './attest/authorities.js'
import { addLearn } from './attest/learn.js'
import { addPolicies } from './attest/policies.js'
import { addShowAttestation } from './attest/show.js'

export function addAttest(program: Command, context: Context): void {
  const attest = program
    .command('attest')
    .description('what devices have to prove of what they booted, and have proven')
  addShowAttestation(attest, context)
  addPolicies(attest, context)
  addLearn(attest, context)
  addAuthorities(attest, context)
}
