import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../demo/free-port.js'
import { collector, controller } from '../fleet.js'
import type { Contestant, RunningBroker, Setting } from './contestant.js'
import { countInFile } from './count.js'

export const mosquitto: Contestant = {
  name: 'mosquitto',
  missing: () =>
    findProgram() === undefined ? 'mosquitto is not installed: sudo apt-get install mosquitto' : undefined,
  start: startMosquitto,
}

export function mosquittoVersion(): string {
  const program = findProgram()
  if (program === undefined) return 'not installed'
  return /version (\S+)/.exec(spawnSync(program, ['-h'], { encoding: 'utf8' }).stdout)?.[1] ?? 'of an unknown version'
}

/** Debian installs it where only root looks. */
function findProgram(): string | undefined {
  return ['mosquitto', '/usr/sbin/mosquitto'].find((path) => spawnSync(path, ['-h']).error === undefined)
}

async function startMosquitto({ folder, fleet }: Setting): Promise<RunningBroker> {
  const port = await freePort()
  const log = join(folder, 'mosquitto.log')
  await mkdir(join(folder, 'data'))
  await writeFile(join(folder, 'ca.crt'), fleet.ca)
  await writeFile(join(folder, 'server.crt'), fleet.server.cert)
  await writeFile(join(folder, 'server.key'), fleet.server.key)
  await writeFile(join(folder, 'acl'), acl)
  await writeFile(join(folder, 'mosquitto.conf'), configuration(folder, port, log))
  const child = spawn(findProgram() ?? 'mosquitto', ['-c', join(folder, 'mosquitto.conf')], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  await listening(port, () => child.exitCode !== null)
  return {
    port,
    pid: child.pid ?? 0,
    collects: false,
    async end() {
      child.kill('SIGTERM')
      await exited
      return { records: await countInFile(log, ' PUBLISH ') }
    },
  }
}

/** Everything at its default, but no bound that would make it drop what the others deliver. */
const configuration = (folder: string, port: number, log: string): string => `
per_listener_settings false
listener ${port} 127.0.0.1
cafile ${join(folder, 'ca.crt')}
certfile ${join(folder, 'server.crt')}
keyfile ${join(folder, 'server.key')}
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file ${join(folder, 'acl')}
log_dest file ${log}
log_type all
log_timestamp true
persistence true
persistence_location ${join(folder, 'data')}/
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 64
${process.getuid?.() === 0 ? 'user root' : ''}
`

const acl = `
pattern write fleet/site-7/%u/#
pattern read fleet/site-7/commands/#

user ${collector}
topic read fleet/site-7/+/telemetry/#

user ${controller}
topic write fleet/site-7/commands/#
`

async function listening(port: number, hasEnded: () => boolean): Promise<void> {
  while (!hasEnded()) {
    const socket = connect(port, '127.0.0.1')
    const answered = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'close')]).catch(
      () => false,
    )
    socket.destroy()
    if (answered === true) return
    await wait(20)
  }
  throw new Error('mosquitto has ended instead of listening')
}
