import type { Command } from 'commander'
import type { RotateKeyRequest } from '#protocol'
import type { Context } from '../../context.js'
import { commentOption, formatTime, parseCount } from '../arguments.js'
import { examples } from '../examples.js'

export function addRotateKey(audit: Command, { client, output }: Context): void {
  audit
    .command('rotate-key')
    .description('sign checkpoints with a new key; for some days the one before signs as well')
    .option('--days <n>', 'for so long; 0 when the key before is no longer to be trusted (default: 7)', parseCount)
    .option(...commentOption)
    .addHelpText('after', examples('audit rotate-key', "audit rotate-key --days 30 --comment 'once a year'"))
    .addHelpText(
      'after',
      '\nGive the new verifier key to everyone who checks the log, by a way the host does not control.',
    )
    .action(async (request: RotateKeyRequest) => {
      const answer = await client().call('rotateAuditKey', { body: request })
      const { verifierKey, previousVerifierKey, notAfter } = answer
      output().one(answer, [
        ['verifier key', verifierKey],
        ['the one before', previousVerifierKey],
        ['which signs until', formatTime(notAfter)],
      ])
    })
}
