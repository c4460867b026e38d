import { parseArgs } from 'node:util'

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
  readonly help: boolean
}

export const usage = (named: readonly { readonly name: string }[]): string => `npm run bench:broker [-- OPTION …]

Measures this broker and its peers in turn, each in a process of its own and with the same duties.

  --rounds N        how often each is measured; medians are printed (default 5)
  --seconds S       how long each is measured (default 4)
  --only NAME       only this broker or case, or those whose names begin so; may be repeated
  --connections N   idle connections to hold (default 2000)
  --profiles DIR    leave a CPU profile of each broker that runs on Node there; see npm run bench:profile
  -o json           every run instead of a table

Names: ${named.map(({ name }) => name).join(' ')}
`

/** Undefined where they cannot be understood. */
export function readOptions(args: readonly string[], named: readonly { readonly name: string }[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '4' },
        connections: { type: 'string', default: '2000' },
        only: { type: 'string', multiple: true, default: [] },
        output: { type: 'string', short: 'o', default: 'table' },
        profiles: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const [rounds, seconds, connections] = [values.rounds, values.seconds, values.connections].map(Number)
    if (!isPositive(rounds) || !isPositive(seconds) || !isPositive(connections)) return undefined
    if (values.output !== 'table' && values.output !== 'json') return undefined
    if (!values.only.every((prefix) => named.some(({ name }) => name.startsWith(prefix)))) return undefined
    const { only, output, help, profiles } = values
    return {
      ...{ rounds, seconds, connections: Math.max(connections, fewestDevices), only, output, help },
      // In its first seconds under load Node compiles: that is a cost of starting, not of a message.
      ...{ warmUpSeconds: Math.min(3, seconds), settleSeconds: Math.min(0.5, seconds / 4) },
      ...(profiles !== undefined && { profiles }),
    }
  } catch {
    return undefined
  }
}

/** So many take part in the other cases. */
const fewestDevices = 100

function isPositive(number: number | undefined): number is number {
  return number !== undefined && number > 0 && Number.isFinite(number)
}
