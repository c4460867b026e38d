import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { WitnessRefusal } from '#audit'
import { printable } from '../../printable.js'

/** Refusals alike are said once in so long: anyone can send a checkpoint again that a log has signed. */
const sayAgainMilliseconds = 10_000
/** A log that forks at every size is shown to have forked by the first few. */
const maxForks = 1_000

/** Says what is refused; what proves a fork is kept in the folder, where it is there for good. */
export function refusalsTo(folder: string, now: () => number): (refusal: WitnessRefusal) => void {
  const said = new Map<string, number>()
  return (refusal) => {
    const { origin, status, why, fork } = refusal
    const file = fork ? keepFork(join(folder, 'forks'), refusal) : undefined
    const kind = `${origin} ${status} ${fork}`
    if (file === undefined && now() - (said.get(kind) ?? -Infinity) < sayAgainMilliseconds) return
    said.set(kind, now())
    const kept = file === undefined ? '' : ` Both checkpoints are in ${file}.`
    say(
      fork ? `FORK: ${origin} has signed two different pasts. ${why}.${kept}` : `refused ${origin} (${status}): ${why}`,
    )
  }
}

/** The file, unless this fork is kept already. */
function keepFork(folder: string, { submitted, cosigned = '' }: WitnessRefusal): string | undefined {
  const [origin = '', size = ''] = submitted.split('\n')
  const file = join(folder, `${origin.replace(/[^A-Za-z0-9._-]/g, '_')}-${size}.txt`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (readdirSync(folder).length >= maxForks) return undefined
  try {
    writeFileSync(file, `${cosigned}\n\n${submitted}`, { flag: 'wx', mode: 0o600 })
    return file
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    return undefined
  }
}

export function say(sentence: string): void {
  process.stderr.write(`touchmark: ${printable(sentence)}\n`)
}
