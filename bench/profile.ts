import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeCommand, positive, runWith } from './arguments.js'

const usage = `npm run bench:profile -- DIR [--per N] [--top N]

Reads the CPU profiles that \`npm run bench:broker -- --profiles DIR\` has left: for each thread the duties, the files and
the functions that it spent its time on, in milliseconds, or in microseconds for each of N messages.
`

interface Options {
  readonly folder: string
  /** How many of each are shown. */
  readonly top: number
  readonly scale: Scale
}

interface Scale {
  readonly unit: string
  readonly divisor: number
}

/** https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[]
}

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

/** What a file of ours is there for; what Node does for it counts as its own. The first that matches. */
const duties: readonly (readonly [pattern: RegExp, duty: string])[] = [
  [/^\(garbage collector\)/, 'garbage collection'],
  [/^broker\/(connection|writer|listeners\/)/, 'sockets and TLS'],
  [/^broker\/(message|wire\/)/, 'decode and encode packets'],
  [/^(policy\/|broker\/decision\.)/, 'decide'],
  [/^audit\/payload\//, 'audit: commit to payloads'],
  [/^audit\/writing\//, 'audit: write and sync'],
  [/^audit\/tree\//, 'audit: hash'],
  [/^(audit\/|broker\/(trail|decision-log))/, 'audit: encode'],
  [/^(broker\/storage|store\/)/, 'session store'],
  [/^broker\//, 'route and deliver'],
  [/^node:/, 'sockets and TLS'],
]

const command = describeCommand({
  usage,
  options: { per: { type: 'string' }, top: { type: 'string', default: '25' } },
  allowPositionals: true,
  understand({ per, top }, [folder]): Options {
    if (folder === undefined) throw new RangeError('expected a folder')
    const scale = per === undefined ? { unit: 'ms', divisor: 1000 } : { unit: 'µs', divisor: positive(per) }
    return { folder, top: positive(top), scale }
  },
})

process.exitCode = await runWith(command, main)

function main({ folder, top, scale }: Options): number {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.cpuprofile'))) {
    const profile = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Profile
    process.stdout.write(`${describe(profile, top, scale)}\n`)
  }
  return 0
}

function describe(profile: Profile, top: number, scale: Scale): string {
  const [byDuty, byFile, byFunction] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])))
  for (const [index, id] of profile.samples.entries()) {
    const node = nodes.get(id)
    if (!node || node.callFrame.functionName === '(idle)') continue
    const micros = profile.timeDeltas[index] ?? 0
    const { functionName, url, lineNumber } = node.callFrame
    add(byFunction, `${functionName || '(anonymous)'} ${placeOf(url)}:${lineNumber + 1}`, micros)
    const place = ownPlaceOf(node, (child) => nodes.get(parents.get(child) ?? 0))
    add(byFile, place, micros)
    add(byDuty, duties.find(([pattern]) => pattern.test(place))?.[1] ?? 'the rest', micros)
  }
  const list = (title: string, spent: ReadonlyMap<string, number>): readonly string[] => {
    const most = [...spent].sort(([, a], [, b]) => b - a).slice(0, top)
    const show = (micros: number) => `${(micros / scale.divisor).toFixed(scale.unit === 'ms' ? 0 : 3).padStart(9)}`
    return [title, ...most.map(([name, micros]) => `${show(micros)} ${scale.unit}  ${name}`)]
  }
  const thread = [...byFile.keys()].some((file) => file.startsWith('audit/writing/writer-service'))
    ? 'audit writer'
    : 'main'
  return [
    `## thread: ${thread}`,
    ...list('by duty', byDuty),
    ...list('by file, with what Node does for it', byFile),
    ...list('by function, alone', byFunction),
  ].join('\n')
}

/** The file for which a function works: its own, or that of the nearest caller which is not part of Node. */
function ownPlaceOf(node: ProfileNode, parentOf: (id: number) => ProfileNode | undefined): string {
  if (node.callFrame.functionName === '(garbage collector)') return '(garbage collector)'
  for (let at: ProfileNode | undefined = node; at; at = parentOf(at.id)) {
    const { url } = at.callFrame
    if (url !== '' && !url.startsWith('node:')) return placeOf(url)
  }
  return placeOf(node.callFrame.url)
}

/** What is written in C++ has no file: system calls and OpenSSL among it. */
function placeOf(url: string): string {
  return url === '' ? '(native)' : url.replace(/^file:\/\//, '').replace(/^.*\/(dist|node_modules)\//, '')
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value)
}
