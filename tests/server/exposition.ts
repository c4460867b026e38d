/** One sample of a scrape: `name{labels}` and its value. */
export type Scrape = ReadonlyMap<string, number>

const name = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const label = `[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"`
const sample = new RegExp(
  `^(${name})(\\{(?:${label}(?:,${label})*)?\\})? (NaN|[+-]Inf|-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?)$`,
)

/**
 * Reads the text format 0.0.4 of Prometheus as strictly as it is written down: each metric has its help and type, once,
 * before its samples; names keep to the conventions; nothing comes twice. @throws Error with the line
 */
export function readExposition(text: string): Scrape {
  const samples = new Map<string, number>()
  const types = new Map<string, string>()
  const helped = new Set<string>()
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const [, helpOf] = new RegExp(`^# HELP (${name}) \\S`).exec(line) ?? []
    const [, typeOf, type = ''] = new RegExp(`^# TYPE (${name}) (counter|gauge|histogram)$`).exec(line) ?? []
    if (helpOf !== undefined) {
      if (helped.has(helpOf)) throw new Error(`told twice: ${line}`)
      helped.add(helpOf)
    } else if (typeOf !== undefined) {
      if (types.has(typeOf) || !helped.has(typeOf)) throw new Error(`not in its place: ${line}`)
      if ((type === 'counter') !== typeOf.endsWith('_total')) throw new Error(`misnamed: ${line}`)
      types.set(typeOf, type)
    } else {
      const [, metric = '', labels = '', value] = sample.exec(line) ?? []
      if (value === undefined || (!types.has(metric.replace(/_(bucket|sum|count)$/, '')) && !types.has(metric))) {
        throw new Error(`no sample of a metric: ${line}`)
      }
      if (samples.has(metric + labels)) throw new Error(`comes twice: ${line}`)
      samples.set(metric + labels, Number(value.replace('Inf', 'Infinity')))
    }
  }
  return samples
}
