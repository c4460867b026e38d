/**
 * Leaves out of a list what it does not need to fail, in ever smaller pieces (delta debugging, Zeller 1999). `tries`:
 * how often it may ask; then the shortest so far is the answer.
 */
export async function shrink<T>(
  list: readonly T[],
  fails: (part: readonly T[]) => Promise<boolean>,
  tries: number,
): Promise<readonly T[]> {
  let shortest = list
  let left = tries
  for (let size = Math.ceil(list.length / 2); size > 0; size = Math.floor(size / 2)) {
    for (let at = 0; at < shortest.length && left > 0;) {
      const without = shortest.toSpliced(at, size)
      left--
      if (await fails(without)) shortest = without
      else at += size
    }
  }
  return shortest
}
