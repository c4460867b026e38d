import type { Command } from 'commander'
import type { StatusView } from '#protocol'
import type { Context } from '../context.js'
import { examples } from './examples.js'
import { formatTime } from './arguments.js'

export function addStatus(program: Command, { client, output }: Context): void {
  program
    .command('status')
    .description('how the server is: devices, sessions, audit log, policy, issuing CA')
    .addHelpText('after', examples('status', 'status --server https://hub.example:8443 --identity ./operator'))
    .action(async () => {
      const status = await client().call('status')
      const { devices, sessions, audit, policy, issuer } = status
      output().one(status, [
        ['version', status.version],
        ['trust domain', status.trustDomain],
        ['started', formatTime(status.startedAt)],
        ['devices', `${devices.active} active, ${devices.registered} registered, ${devices.revoked} revoked`],
        ['sessions', `${sessions.connected} connected, ${sessions.stored} stored`],
        ['audit', `${audit.healthy ? 'healthy' : 'FAILED'}, ${audit.mode}, ${audit.size} records, ${waiting(audit)}`],
        ['policy', `version ${policy.version}, ${policy.hash}`],
        ['issuing CA', `${issuer.subject}, until ${formatTime(issuer.notAfter)}`],
      ])
    })
}

function waiting({ size, durable }: StatusView['audit']): string {
  const count = size - 1 - durable
  return count === 0 ? 'all on disk' : `${count} not on disk yet`
}
