import { isSeq, parseDocument, stringify } from 'yaml'
import { encodeHex, type PcrPolicyMode, type ProfileName } from '#protocol'

/** What a document is to learn: values that a device has quoted, and for how long they are to be good. */
export interface Lesson {
  readonly pcrs: Readonly<Record<string, Uint8Array>>
  readonly from?: string | undefined
  readonly until?: string | undefined
  /** Whose values they are, for whoever reads the document. */
  readonly comment: string
}

interface Learnt {
  readonly source: string
  /** Registers of which the value was new. */
  readonly learned: readonly number[]
}

/**
 * A document with these values among the accepted ones; what else it says stays as it was written, comments too. Which
 * registers it is about remains its own affair: of others nothing is learned.
 */
export function learn(source: string, { pcrs, from, until, comment }: Lesson): Learnt {
  const document = parseDocument(source, { stringKeys: true })
  const learned = Object.entries(pcrs).filter(([pcr, bytes]) => {
    const accepted = document.getIn(['pcrs', pcr])
    const value = encodeHex(bytes)
    const window = { ...(from !== undefined && { from }), ...(until !== undefined && { until }) }
    if (!isSeq(accepted) || (Object.keys(window).length === 0 && isNamed(accepted.toJSON(), value))) return false
    accepted.flow = false // a list that was written as [] grows downwards
    accepted.add(document.createNode({ value, ...window, comment }))
    return true
  })
  return { source: String(document), learned: learned.map(([pcr]) => Number(pcr)) }
}

/** A first document: to observe, so that nobody is turned away before it is known what there is. */
export function firstDocument(name: string, profile: ProfileName, pcrs: Lesson['pcrs']): string {
  const mode: PcrPolicyMode = 'observe'
  const registers = Object.fromEntries(Object.keys(pcrs).map((pcr) => [pcr, []]))
  return stringify({ name, mode, profiles: [profile], pcrs: registers })
}

/** Good without any window. */
function isNamed(accepted: unknown, value: string): boolean {
  const list: readonly unknown[] = Array.isArray(accepted) ? accepted : []
  return list.some(
    (each) =>
      each === value || (isPlainMap(each) && each['value'] === value && !('until' in each) && !('from' in each)),
  )
}

function isPlainMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
