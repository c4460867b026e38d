/** Every topic of these words, up to so many levels. */
export function sequences(words: readonly string[], longest: number): readonly (readonly string[])[] {
  if (longest === 0) return []
  return words.flatMap((word) => [[word], ...sequences(words, longest - 1).map((rest) => [word, ...rest])])
}
