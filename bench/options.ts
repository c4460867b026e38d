import { describeCommand, oneOf, positive } from './arguments.js'

export interface Options {
  readonly rounds: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly settleSeconds: number
  /** How many devices there are, and how many connections the idle case holds. */
  readonly connections: number
  /** The beginnings of names of cases and brokers; none means all. */
  readonly only: readonly string[]
  readonly output: 'table' | 'json'
  readonly profiles?: string
}

interface Named {
  readonly name: string
}

/** Of a benchmark of these brokers and cases. */
export function commandLine(named: readonly Named[]) {
  return describeCommand({
    usage: usage(named),
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
      connections: { type: 'string', default: '2000' },
      only: { type: 'string', multiple: true, default: [] },
      output: { type: 'string', short: 'o', default: 'table' },
      profiles: { type: 'string' },
    },
    understand({ only, profiles, ...given }): Options {
      for (const beginning of only)
        if (!named.some(({ name }) => name.startsWith(beginning))) throw new RangeError(beginning)
      const seconds = positive(given.seconds)
      return {
        rounds: positive(given.rounds),
        seconds,
        // In its first seconds under load Node compiles: that is a cost of starting, not of a message.
        warmUpSeconds: Math.min(3, seconds),
        settleSeconds: Math.min(0.5, seconds / 4),
        connections: Math.max(positive(given.connections), fewestDevices),
        only,
        output: oneOf(['table', 'json'], given.output),
        ...(profiles !== undefined && { profiles }),
      }
    },
  })
}

/** So many take part in the other cases. */
const fewestDevices = 100

const usage = (named: readonly Named[]): string => `npm run bench:broker [-- OPTION …]

Measures this broker and its peers in turn, each in a process of its own and with the same duties.

  --rounds N        how often each is measured; medians are printed (default 5)
  --seconds S       how long each is measured (default 4)
  --only NAME       only this broker or case, or those whose names begin so; may be repeated
  --connections N   idle connections to hold (default 2000)
  --profiles DIR    leave a CPU profile of each broker that runs on Node there; see npm run bench:profile
  -o json           every run instead of a table

Names: ${named.map(({ name }) => name).join(' ')}
`
