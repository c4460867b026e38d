import type { Clock } from './clock.js'

/** One line per event: when, what, and its facts as `name=value`. */
export type Journal = (event: string, facts?: Readonly<Record<string, string | number>>) => void

/** In the agent's own time. */
export function journal(clock: Clock, write: (line: string) => void): Journal {
  return (event, facts = {}) => {
    const words = Object.entries(facts).map(([name, value]) => `${name}=${quoted(value)}`)
    write([new Date(clock.now()).toISOString(), event.replaceAll(' ', '-'), ...words].join(' '))
  }
}

function quoted(value: string | number): string {
  return /^[\w.:/@-]+$/.test(String(value)) ? String(value) : JSON.stringify(value)
}
