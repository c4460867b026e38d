import { describeCommand, positive } from '../arguments.js'
import { type NamedPart, partArguments, type PartOptions, partUsage, understandParts } from '../part-options.js'

export interface Options extends PartOptions {
  /** So many devices join and renew each time. */
  readonly renewals: number
  /** So many of them are at the door at the same time. */
  readonly atOnce: number
  /** So many devices come back after a power cut, within so many seconds. */
  readonly herd: number
  readonly within: number
  /** So many devices the service knows in the end. */
  readonly registered: number
}

/** Of a benchmark of these parts. */
export function commandLine(parts: readonly NamedPart[]) {
  return describeCommand({
    usage: usage(parts),
    options: {
      ...partArguments,
      renewals: { type: 'string', default: '1000' },
      'at-once': { type: 'string', default: '16' },
      herd: { type: 'string', default: '10000' },
      within: { type: 'string', default: '60' },
      registered: { type: 'string', default: '100000' },
    },
    understand(given): Options {
      return {
        ...understandParts(parts, given),
        renewals: positive(given.renewals),
        atOnce: positive(given['at-once']),
        herd: positive(given.herd),
        within: positive(given.within),
        registered: positive(given.registered),
      }
    },
  })
}

const usage = (parts: readonly NamedPart[]): string =>
  `npm run bench:renewal [-- OPTION …]

How many certificates a service renews, how a fleet comes back after a power cut, and what a device costs by how many others
there are. Devices renew over a connection of their own, and come back with the agent's own back-off.

  --rounds N      how often each is measured; medians are printed (default 3)
  --renewals N    how many devices join and renew each time (default 1000)
  --at-once N     how many of them are at the door at the same time (default 16)
  --herd N        how many come back after a power cut (default 10000)
  --within S      each of them at some moment of so many seconds (default 60)
  --registered N  how many devices the service knows in the end (default 100000)
${partUsage(parts)}`
