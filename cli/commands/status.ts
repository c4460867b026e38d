import type { Command } from 'commander'
import type { StatusView } from '#protocol'
import type { Context } from '../context.js'
import { examples } from './examples.js'
import { formatAge, formatTime } from './arguments.js'

export function addStatus(program: Command, { client, output }: Context): void {
  program
    .command('status')
    .description('how the server is: devices, sessions, audit log, policy, issuing CA')
    .addHelpText('after', examples('status', 'status --server https://hub.example:8443 --identity ./operator'))
    .action(async () => {
      const status = await client().call('status')
      const now = Date.now()
      const { devices, sessions, audit, policy, issuer } = status
      output().one(status, [
        ['version', status.version],
        ['trust domain', status.trustDomain],
        ['started', formatTime(status.startedAt)],
        ['devices', `${devices.active} active, ${devices.registered} registered, ${devices.revoked} revoked`],
        ['sessions', `${sessions.connected} connected, ${sessions.stored} stored`],
        [
          'audit',
          `${audit.healthy ? 'healthy' : 'FAILED'}, ${audit.mode}, ${audit.size} records${kept(audit)}, ${waiting(audit)}`,
        ],
        ['outside', outsideNow(audit.outside, now)],
        ...audit.outside.places.map((place) => [place.kind, placeNow(place, now)] as const),
        ['policy', `version ${policy.version}, ${policy.hash}`],
        ['issuing CA', `${issuer.subject}, until ${formatTime(issuer.notAfter)}`],
      ])
    })
}

function kept({ first }: StatusView['audit']): string {
  return first === 0 ? '' : `, kept from ${first} on`
}

function waiting({ size, durable }: StatusView['audit']): string {
  const count = size - 1 - durable
  return count === 0 ? 'all on disk' : `${count} not on disk yet`
}

type Outside = StatusView['audit']['outside']

/** What root on the server could rewrite unseen is what came after this. */
function outsideNow({ newest, places }: Outside, now: number): string {
  if (places.length === 0) return 'no checkpoint leaves this machine; see audit.witnesses in touchmark.yaml'
  return newest === undefined ? 'no checkpoint has left this machine yet' : coveredBy(newest, now)
}

function placeNow({ name, newest, problem }: Outside['places'][number], now: number): string {
  const has = newest === undefined ? 'nothing yet' : coveredBy(newest, now)
  return problem === undefined ? `${name}: ${has}` : `${name}: ${has}; FAILING: ${problem}`
}

function coveredBy({ size, at }: NonNullable<Outside['newest']>, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(at)) / 1000))
  return `${size} records, ${formatAge(seconds)} ago`
}
