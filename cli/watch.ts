import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { Column, Output } from './output.js'

export interface Watched<Answer extends object, Row> {
  readonly read: () => Promise<Answer>
  readonly rows: (answer: Answer) => readonly Row[]
  readonly columns: readonly Column<Row>[]
  readonly seconds: number
}

/**
 * Shows an answer anew every few seconds until Ctrl-C, which is its ordinary end. A table on a terminal stays in its
 * place, on a screen of its own that leaves what was there as it was; all else is written line after line.
 */
export async function watch<Answer extends object, Row>(output: Output, watched: Watched<Answer, Row>): Promise<void> {
  const { read, seconds } = watched
  const stop = new AbortController()
  const ended = Promise.race(['SIGINT', 'SIGTERM'].map((signal) => once(process, signal, { signal: stop.signal })))
  ended.then(
    () => stop.abort(),
    () => undefined, // nobody waits for it any more
  )
  const screen = output.openScreen()
  try {
    for (let isFirst = true; !stop.signal.aborted; isFirst = false) {
      const answer = await read()
      const time = new Date().toISOString()
      if (!screen) append(output, watched, answer, time, isFirst)
      else if (!stop.signal.aborted)
        screen.show(output.table(watched.rows(answer), watched.columns), foot(time, seconds))
      await pause(seconds * 1000, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  } finally {
    screen?.close()
    stop.abort()
  }
}

/** For a file or a program: one JSON or YAML document each time, or lines that begin with the time. */
function append<Answer extends object, Row>(
  output: Output,
  { rows, columns }: Watched<Answer, Row>,
  answer: Answer,
  time: string,
  isFirst: boolean,
): void {
  if (output.format === 'json' || output.format === 'yaml') output.item({ time, ...answer }, [])
  else output.list(rows(answer), [{ name: 'time', of: () => time }, ...columns], { header: isFirst })
}

function foot(time: string, seconds: number): string {
  return `${time.slice(11, 19)}Z, every ${seconds} s; Ctrl-C ends it`
}
