import { add, type Duties, dutyOf, eachSample, placeOf, type Profile, readProfiles } from './cpu-profile.js'
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

/** What a file of ours is there for; what Node does for it counts as its own. The first that matches. */
const duties: Duties = [
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
  for (const profile of readProfiles(folder)) process.stdout.write(`${describe(profile, top, scale)}\n`)
  return 0
}

function describe(profile: Profile, top: number, scale: Scale): string {
  const [byDuty, byFile, byFunction] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  for (const { node, place, micros } of eachSample(profile)) {
    const { functionName, url, lineNumber } = node.callFrame
    add(byFunction, `${functionName || '(anonymous)'} ${placeOf(url)}:${lineNumber + 1}`, micros)
    add(byFile, place, micros)
    add(byDuty, dutyOf(place, duties), micros)
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
