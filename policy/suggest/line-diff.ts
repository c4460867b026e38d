/** Lines that stay around each change. */
const context = 3

type Step = readonly [mark: ' ' | '-' | '+', line: string]

/** What is to be changed in a text, as `diff -u` writes it; nothing where they are the same. */
export function diffLines(before: string, after: string, names: readonly [string, string]): string {
  const steps = stepsBetween(before.split('\n'), after.split('\n'))
  const changed = steps.flatMap(([mark], at) => (mark === ' ' ? [] : [at]))
  if (changed.length === 0) return ''
  const near = new Set(changed.flatMap((at) => Array.from({ length: 2 * context + 1 }, (_, by) => at - context + by)))
  const lines = [`--- ${names[0]}`, `+++ ${names[1]}`]
  for (let at = 0; at < steps.length;) {
    const begin = at
    while (at < steps.length && near.has(at)) at++
    if (at > begin) lines.push(...hunk(steps, begin, at))
    else at++
  }
  return `${lines.join('\n')}\n`
}

function hunk(steps: readonly Step[], begin: number, end: number): readonly string[] {
  const part = steps.slice(begin, end)
  const count = (list: readonly Step[], not: string) => list.filter(([mark]) => mark !== not).length
  const range = (not: '+' | '-') => `${count(steps.slice(0, begin), not) + 1},${count(part, not)}`
  return [`@@ -${range('+')} +${range('-')} @@`, ...part.map(([mark, line]) => `${mark}${line}`)]
}

/** Line by line: where they differ, the old ones up to the next that both have go, and the new ones come. */
function stepsBetween(old: readonly string[], now: readonly string[]): readonly Step[] {
  const steps: Step[] = []
  let [left, right] = [0, 0]
  while (left < old.length || right < now.length) {
    if (left < old.length && old[left] === now[right]) {
      steps.push([' ', old[left] ?? ''])
      left++
      right++
      continue
    }
    const [skipped, added] = nextCommon(old.slice(left), now.slice(right))
    steps.push(...old.slice(left, left + skipped).map((line): Step => ['-', line]))
    steps.push(...now.slice(right, right + added).map((line): Step => ['+', line]))
    left += skipped
    right += added
  }
  return steps
}

/** How far both have to go to the nearest line that they have in common. */
function nextCommon(old: readonly string[], now: readonly string[]): readonly [number, number] {
  const most = old.length + now.length
  for (let together = 1; together < most; together++) {
    for (let skipped = Math.max(0, together - now.length); skipped <= Math.min(together, old.length); skipped++) {
      const line = old[skipped]
      if (line !== undefined && line === now[together - skipped]) return [skipped, together - skipped]
    }
  }
  return [old.length, now.length]
}
