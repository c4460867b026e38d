/** `pump-*`: all that begins so; without the star only that itself. Letter case counts. */
export function patternOf(pattern: string): (text: string) => boolean {
  if (!pattern.endsWith('*')) return (text) => text === pattern
  const beginning = pattern.slice(0, -1)
  return (text) => text.startsWith(beginning)
}
