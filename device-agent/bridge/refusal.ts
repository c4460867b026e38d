/** What the service said no with (MQTT 5.0 §3.4.2, §3.9.3). */
export interface Refusal {
  readonly code: number
  readonly text: string
  /** Whether the same may find more favour later: it lacks room, or failed itself. */
  readonly isPassing: boolean
}

/** Out of an error of mqtt.js; undefined when it is about the connection, and not the service's answer. */
export function refusalIn(error: unknown, packet: unknown): Refusal | undefined {
  const granted = propertyOf(packet, 'granted') // of a SUBACK the error does not have the code
  const code: unknown = Array.isArray(granted) ? granted[0] : propertyOf(error, 'code')
  if (typeof code !== 'number' || code < 0x80) return undefined
  const said = propertyOf(propertyOf(packet, 'properties'), 'reasonString')
  const text = typeof said === 'string' ? said : error instanceof Error ? error.message : 'refused'
  return { code, text, isPassing: passing.has(code) }
}

/** Unspecified, implementation specific, quota exceeded. */
const passing: ReadonlySet<number> = new Set([0x80, 0x83, 0x97])

function propertyOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.getOwnPropertyDescriptor(value, name)?.value
}
