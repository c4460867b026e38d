import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
export interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[]
  /** Microseconds of the machine's monotonic clock, which all processes share. */
  readonly startTime: number
}

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

export interface Sample {
  readonly node: ProfileNode
  /** The file for which it works: its own, or that of the nearest caller which is not part of Node. */
  readonly place: string
  readonly micros: number
}

/** What a file is there for; what Node does for it counts as its own. The first that matches. */
export type Duties = readonly (readonly [pattern: RegExp, duty: string])[]

/** What `--cpu-prof` has left in a folder, one for each thread. */
export function readProfiles(folder: string): readonly Profile[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.cpuprofile'))
    .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile)
}

/** By the clock of {@link Profile.startTime}. */
export const monotonicMicros = (): number => Number(process.hrtime.bigint() / 1000n)

/** Those in which the thread did something, of this span of time. */
export function* eachSample(
  { nodes: all, samples, timeDeltas, startTime }: Profile,
  [from, to]: readonly [number, number] = [0, Infinity],
): Iterable<Sample> {
  const nodes = new Map(all.map((node) => [node.id, node]))
  const parents = new Map(all.flatMap(({ id, children = [] }) => children.map((child) => [child, id])))
  let at = startTime
  for (const [index, id] of samples.entries()) {
    const micros = timeDeltas[index] ?? 0
    at += micros
    const node = nodes.get(id)
    if (!node || node.callFrame.functionName === '(idle)' || at < from || at > to) continue
    yield { node, place: ownPlaceOf(node, (child) => nodes.get(parents.get(child) ?? 0)), micros }
  }
}

export function dutyOf(place: string, duties: Duties): string {
  return duties.find(([pattern]) => pattern.test(place))?.[1] ?? 'the rest'
}

/** What is written in C++ has no file: system calls and OpenSSL among it. */
export function placeOf(url: string): string {
  return url === '' ? '(native)' : url.replace(/^file:\/\//, '').replace(/^.*\/(dist|node_modules)\//, '')
}

export function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value)
}

function ownPlaceOf(node: ProfileNode, parentOf: (id: number) => ProfileNode | undefined): string {
  if (node.callFrame.functionName === '(garbage collector)') return '(garbage collector)'
  for (let at: ProfileNode | undefined = node; at; at = parentOf(at.id)) {
    const { url } = at.callFrame
    if (url !== '' && !url.startsWith('node:')) return placeOf(url)
  }
  return placeOf(node.callFrame.url)
}
