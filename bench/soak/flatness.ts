/** What a process may grow by between the middle and the last third of a soak and still count as flat. */
const tolerance = { share: 0.1, bytes: 16 * 1024 * 1024 }

/** From fewer nothing can be told: they are the warm-up. */
const fewestSamples = 9

export interface Flatness {
  readonly flat: boolean
  readonly middle: number
  readonly last: number
}

/**
 * Whether memory stayed where it was: the median of the last third of the samples against that of the middle third. The
 * first third is the warm-up, and medians do not mind when a garbage collection falls between two samples. Of a run that
 * was too short to tell it says that it was flat.
 */
export function judgeFlatness(samples: readonly number[]): Flatness {
  const third = Math.floor(samples.length / 3)
  const middle = median(samples.slice(third, 2 * third))
  const last = median(samples.slice(2 * third))
  const isTooShort = samples.length < fewestSamples
  return { flat: isTooShort || last <= middle * (1 + tolerance.share) + tolerance.bytes, middle, last }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
