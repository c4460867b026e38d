import type { Way } from './client.js'
import { type FeatureName, features } from './features.js'

/* The matrix of clients, versions, transports and features, as `docs/mqtt-conformance.md` shows it. */

const ways: readonly Way[] = [
  { version: '3.1.1', transport: 'TLS' },
  { version: '5', transport: 'TLS' },
  { version: '3.1.1', transport: 'WebSocket' },
  { version: '5', transport: 'WebSocket' },
]

/** What a client cannot do, and why: cells of the matrix that stay empty. */
export interface Gap {
  readonly without: Partial<Way> & { readonly feature?: FeatureName }
  readonly because: string
}

/** By the names of the clients. */
const gaps = {
  mosquitto: [
    { without: { transport: 'WebSocket' }, because: 'the clients of mosquitto 2.0 speak TCP and TLS only' },
    {
      without: { version: '5', feature: 'leaves no will when it says goodbye' },
      because: 'mosquitto_sub asks for its will even then (DISCONNECT 0x04)',
    },
  ],
  'mqtt.js': [],
  'Eclipse Paho for Python': [],
  'Eclipse Paho for C': [
    {
      without: { transport: 'WebSocket', feature: 'finds in its session what came while it was away, in order' },
      because: 'of messages that come together over WebSocket it leaves some unread until its next ping',
    },
  ],
} as const satisfies Readonly<Record<string, readonly Gap[]>>

export type ClientName = keyof typeof gaps

export const clientNames = Object.keys(gaps).filter((name): name is ClientName => name in gaps)
export const featureNames = Object.keys(features).filter((name): name is FeatureName => name in features)

export function gapsOf(client: ClientName): readonly Gap[] {
  return gaps[client]
}

export interface Cell {
  readonly way: Way
  readonly feature: FeatureName
  /** Why it stays empty. */
  readonly gap: Gap | undefined
}

/** Every cell of one client. */
export function cellsOf(client: ClientName): readonly Cell[] {
  return ways.flatMap((way) =>
    featureNames.map((feature) => ({
      way,
      feature,
      gap: gapsOf(client).find(({ without }) => isPartOf(without, way, feature)),
    })),
  )
}

function isPartOf({ version, transport, feature }: Gap['without'], way: Way, tried: FeatureName): boolean {
  return (
    (version ?? way.version) === way.version &&
    (transport ?? way.transport) === way.transport &&
    (feature ?? tried) === tried
  )
}
