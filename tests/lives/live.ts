import { countsOf, judge } from './judge.js'
import { Life } from './life.js'

export interface Lived {
  /** What was wrong at its end, or at once. */
  readonly wrong: string | undefined
  readonly counts: Readonly<Record<string, number>>
  readonly records: number
}

/** One life, by its seed, and what there is to say of it. */
export async function live(seed: number, steps: number): Promise<Lived> {
  const life = await Life.begin(seed)
  await life.run(steps)
  await life.calm()
  const wrong = await judge(life)
  return { wrong, counts: countsOf(life), records: life.service.records.length }
}
