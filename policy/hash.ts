import { createHash } from 'node:crypto'
import { type Fingerprint, parseFingerprint } from '#protocol'
import type { Json, TopicPolicy } from './policy.js'

/** SHA-256 of the policy's content as canonical JSON: the same for YAML and JSON, whatever the order and comments. */
export function policyHash(policy: TopicPolicy): Fingerprint {
  return parseFingerprint(createHash('sha256').update(canonicalJson(policy.content)).digest('hex'))
}

/** JSON with sorted keys and no white space (RFC 8785; JSON.stringify writes numbers and strings as it asks). */
function canonicalJson(value: Json): string {
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  // RFC 8785 §3.2.3: by UTF-16 code units, which is what sort() does.
  const keys = Object.keys(value).sort()
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`).join(',')}}`
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
