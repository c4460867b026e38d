import { createRequire } from 'node:module'

/** Of these programs, as their package says it. */
export function readVersion(): string {
  const manifest: unknown = createRequire(import.meta.url)('../../package.json')
  const isNamed = typeof manifest === 'object' && manifest !== null && 'version' in manifest
  return isNamed && typeof manifest.version === 'string' ? manifest.version : '0.0.0'
}
