import { filesOf } from '../world.js'
import type { Caller, Client, Listening } from './client.js'
import { commandLineClient } from './command-line.js'

/** What Debian's packages install, for `needs(…)`. */
export const pahoFiles = {
  python: '/usr/lib/python3/dist-packages/paho/mqtt/client.py',
  c: '/usr/include/MQTTClient.h',
}

/** Eclipse Paho for Python, with Debian's own Python. */
export const pahoPython = commandLineClient({
  leaves: 'at the end of its input',
  publish: ({ topic, qos, retain = false, ...caller }) => [
    ...pythonCalling('publish', caller),
    ...['--topic', topic, '--qos', `${qos}`],
    ...(retain ? ['--retain'] : []),
  ],
  listen: ({ filter, qos, keep = false, will, ...caller }) => [
    ...pythonCalling('listen', caller),
    ...['--topic', filter, '--qos', `${qos}`],
    ...(keep ? ['--keep'] : []),
    ...(will ? ['--will-topic', will.topic, '--will-payload', will.payload] : []),
  ],
})

function pythonCalling(
  verb: 'publish' | 'listen',
  { device, clientId, port, version, transport }: Caller,
): [string, ...string[]] {
  const { ca, cert, key } = filesOf(device)
  return [
    ...(['/usr/bin/python3', 'tests/data/clients/paho_client.py', verb] as const),
    ...['--version', version === '5' ? '5' : '4', '--transport', transport === 'TLS' ? 'tls' : 'websocket'],
    ...['--port', `${port}`, '--id', clientId, '--ca', ca, '--cert', cert, '--key', key],
  ]
}

/** Eclipse Paho for C: tests/data/clients/paho_client.c, compiled to `program`. */
export function pahoC(program: string): Client {
  return commandLineClient({
    leaves: 'at the end of its input',
    publish: ({ topic, qos, retain = false, ...caller }) => [
      program,
      ...cArguments('publish', caller, { topic, qos, retain }),
    ],
    listen: ({ filter, qos, keep = false, will, ...caller }) => [
      program,
      ...cArguments('listen', caller, { topic: filter, qos, keep, ...(will && { will }) }),
    ],
  })
}

function cArguments(
  verb: 'publish' | 'listen',
  { device, clientId, port, version, transport }: Caller,
  asked: Pick<Listening, 'qos' | 'keep' | 'will'> & { readonly topic: string; readonly retain?: boolean },
): readonly string[] {
  const { ca, cert, key } = filesOf(device)
  const uri = transport === 'TLS' ? `ssl://localhost:${port}` : `wss://localhost:${port}/mqtt`
  const { topic, qos, retain = false, keep = false, will = { topic: '', payload: '' } } = asked
  const flags = [retain, keep].map((flag) => (flag ? '1' : '0'))
  return [
    ...[verb, version === '5' ? '5' : '4', uri, clientId, ca, cert, key],
    ...[topic, `${qos}`, ...flags, will.topic, will.payload],
  ]
}
