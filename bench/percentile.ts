/** Of values in ascending order; NaN where there are none. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

export const ascending = (values: readonly number[]): readonly number[] => [...values].sort((one, other) => one - other)
