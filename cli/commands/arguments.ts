import { InvalidArgumentError } from 'commander'
import { type Act, type Fingerprint, parseFingerprint, parseSpan } from '#protocol'
import { CliError } from '../errors.js'

/** Of every command that changes something. */
export const commentOption = ['--comment <text>', 'why, for the audit log'] as const

/** What is said of an act, where something is. */
export function commented({ comment }: Act): Act {
  return comment === undefined ? {} : { comment }
}

/** `90s`, `15m`, `2h`, `7d` → seconds. */
export function parseDuration(text: string): number {
  const milliseconds = parseSpan(text)
  if (milliseconds === undefined) throw new InvalidArgumentError('expected a duration such as 90s, 15m, 2h or 7d')
  return milliseconds / 1000
}

export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a whole number')
  return Number(text)
}

/** One of an option that can be repeated. */
export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value]
}

/** A SHA-256 in hex. */
export function parseHash(text: string): Fingerprint {
  return parseFingerprint(text.toLowerCase().replace(/^sha256:/, ''))
}

/** One of repeated `key=value`s; a later one wins over an earlier one of the same key. */
export function parseLabel(text: string, previous: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (key === undefined || value === undefined) throw new InvalidArgumentError('expected KEY=VALUE')
  return { ...previous, [key]: value }
}

export function parseLabels(texts: readonly string[]): Readonly<Record<string, string>> {
  if (texts.length === 0) throw new CliError('USAGE', 'expected at least one KEY=VALUE')
  return texts.reduce<Record<string, string>>((labels, text) => parseLabel(text, labels), {})
}

export function formatLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

/** ISO 8601 as the API gives it, easier on the eye; still UTC, as its Z says. */
export function formatTime(time: string, precision: 'seconds' | 'milliseconds' = 'seconds'): string {
  const text = time.replace('T', ' ')
  return precision === 'milliseconds' ? text : text.replace(/\.\d+Z$/, 'Z')
}

/** `40 s`, `5 min`, `3 h`, `2 d`: rounded down, as people count. */
export function formatAge(seconds: number): string {
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}

/** Messages a second: whole ones, and below 10 with a tenth. */
export function formatRate(rate: number): string {
  return rate >= 10 || rate === 0 ? rate.toFixed(0) : rate.toFixed(1)
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function formatBytes(bytes: number): string {
  const power = Math.min(Math.max(Math.floor(Math.log2(bytes) / 10), 0), byteUnits.length - 1)
  const count = power === 0 ? String(bytes) : formatRate(bytes / 1024 ** power)
  return `${count} ${byteUnits[power] ?? ''}`
}
