import { join, relative } from 'node:path'
import type { ServerConfig } from './config.js'
import { spell } from './spelling.js'
import type { OpenServer } from './wire.js'

/** What stdout says once everything listens: for programs one line of JSON, for people what was made and how to go on. */
export function greet(server: OpenServer, config: ServerConfig): string {
  if (config.output === 'json') return `${JSON.stringify(readyLine(server, config))}\n`
  return server.firstRun ? greetFirst(server, config) : greetAgain(server, config)
}

function readyLine({ ports, addresses, joinUri, firstRun, firstToken }: OpenServer, config: ServerConfig) {
  return {
    event: 'ready',
    version: config.version,
    pid: process.pid,
    dataFolder: config.dataFolder,
    firstRun,
    ports,
    addresses,
    joinUri,
    ...(firstToken !== undefined && { token: firstToken }),
  }
}

function greetFirst(server: OpenServer, config: ServerConfig): string {
  const folder = relative(process.cwd(), config.dataFolder) || '.'
  const shell = { folder: process.cwd(), path: process.env['PATH'] ?? '' }
  const agent = spell('touchmark-agent', shell)
  const touchmark = spell('touchmark', shell) + dataOption(config)
  return `Touchmark ${config.version}, trust domain ${config.trustDomain}

Made in ${folder}/
  ca/              root and issuing CA; keep the root's key safe, it is the installation
  audit/           the log of every message and act; operator/audit.vkey checks it
  store/           state
  operator/        your credential for the touchmark command (owner only)
  policy.yaml      who may publish and subscribe what; in force as version ${server.policyVersion}
  touchmark.yaml   configuration

${listening(server)}

Let a first device join (the token is good once, for an hour), and keep it connected:
  ${agent} enroll --join '${server.joinUri}' --token ${server.firstToken ?? ''} --data my-device
  ${agent} run --data my-device

Then, in another terminal:
  ${touchmark} devices ls                  who is there
  ${touchmark} audit tail -f               what is said and done, as it happens
  ${touchmark} policy can DEVICE publish devices/DEVICE/telemetry/t --explain
  ${touchmark} policy apply ${join(folder, 'policy.yaml')}   after you have changed it and raised its version
  ${touchmark} tokens create               for the next device

ready
`
}

function greetAgain(server: OpenServer, config: ServerConfig): string {
  const { devices, sessions, audit } = server.status()
  const found = [
    counted(devices.active, 'active device'),
    counted(sessions.stored, 'stored session'),
    counted(audit.size, 'audit record'),
    `policy version ${server.policyVersion}`,
  ]
  const folder = relative(process.cwd(), config.dataFolder) || '.'
  return `Touchmark ${config.version}, trust domain ${config.trustDomain}, data in ${folder}/
${found.join(', ')}
${listening(server)}
Join: ${server.joinUri}
ready
`
}

/** `1 device`, `2 devices`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function listening({ addresses }: OpenServer): string {
  const width = Math.max(...Object.values(addresses).map(({ length }) => length))
  const line = (address: string, what: string) => `  ${address.padEnd(width)}  ${what}`
  return [
    'Listening',
    line(addresses.https, 'devices join, operators work'),
    line(addresses.mqtts, 'MQTT'),
    line(addresses.wss, 'MQTT over WebSocket'),
    line(addresses.health, 'health and metrics'),
  ].join('\n')
}

/** Said only where the command would not find the folder by itself. */
function dataOption(config: ServerConfig): string {
  return config.isDefaultFolder ? '' : ` --data '${config.dataFolder.replaceAll("'", "'\\''")}'`
}
