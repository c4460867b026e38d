import { join } from 'node:path'
import { parseVerifierKey } from '#audit'
import { CliError } from '../../errors.js'
import type { Settings } from '../../settings.js'
import { readVerifierKey } from '../verifier-key.js'

export const verifierKeyOption = [
  '--vkey <key>',
  'verifier key, or a file with one a line; can be repeated: any will do',
] as const

/** Each given one is a key, or the name of a file that holds keys. @throws CliError USAGE, CANNOT_READ */
export function readVerifierKeys(given: readonly string[], { identityFolder }: Settings): readonly string[] {
  const keys = (given.length > 0 ? given : [join(identityFolder, 'audit.vkey')]).flatMap((key) =>
    readVerifierKey(key).split(/\s+/),
  )
  for (const key of keys) requireVerifierKey(key)
  return keys
}

function requireVerifierKey(text: string): void {
  try {
    parseVerifierKey(text)
  } catch (cause) {
    throw new CliError('USAGE', `--vkey: ${cause instanceof Error ? cause.message : 'not a verifier key'}`, { cause })
  }
}
