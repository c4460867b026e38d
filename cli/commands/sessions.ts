import type { Command } from 'commander'
import type { SessionView } from '#protocol'
import type { Context } from '../context.js'
import type { Column } from '../output.js'
import { examples } from './examples.js'
import { formatTime } from './arguments.js'

const columns: readonly Column<SessionView>[] = [
  { name: 'device', of: (session) => session.device },
  { name: 'client id', of: (session) => session.clientId },
  { name: 'connected', of: (session) => (session.connected ? 'yes' : 'no') },
  { name: 'since', of: (session) => formatTime(session.since) },
  { name: 'peer', of: (session) => session.peer },
  { name: 'queued', of: (session) => String(session.queued) },
  { name: 'session', of: (session) => session.session, wide: true },
  {
    name: 'subscriptions',
    of: (session) => session.subscriptions.map(({ filter, qos }) => `${filter} (${qos})`).join(' '),
    wide: true,
  },
]

export function addSessions(program: Command, { client, output }: Context): void {
  program
    .command('sessions')
    .description('MQTT sessions')
    .command('ls')
    .description('every session that is connected or kept for a device that will come back')
    .addHelpText('after', examples('sessions ls', 'sessions ls -o wide'))
    .action(async () => output().list(await client().call('listSessions'), columns))
}
