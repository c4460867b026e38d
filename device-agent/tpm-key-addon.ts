import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '#protocol'
import { AgentError } from './errors.js'

/** native/tpm_key.c */
export interface TpmKeyAddon {
  register(id: string, point: Buffer, sign: (digest: Buffer) => Buffer): void
}

export interface LoadedAddon {
  readonly addon: TpmKeyAddon
  readonly path: string
}

const nativeFolder = fileURLToPath(new URL('../../native/', import.meta.url))

/** Below that: as it came in the package for this kind of machine, or as it was built on this one. */
const places = [`prebuilds/${process.platform}-${process.arch}/tpm_key.node`, 'build/Release/tpm_key.node'] as const

/**
 * The first that loads: a prebuilt one need not fit the C library that is here. @throws AgentError KEY_UNAVAILABLE,
 * which says what to do, when there is none
 */
export function loadAddon(folder = nativeFolder): LoadedAddon {
  const require = createRequire(import.meta.url)
  const problems: string[] = []
  for (const path of places.map((place) => join(folder, place))) {
    if (!existsSync(path)) continue
    try {
      return { addon: require(path) as TpmKeyAddon, path }
    } catch (error) {
      problems.push(`${path} does not load: ${messageOf(error)}`)
    }
  }
  const found = problems.length === 0 ? 'it is not there' : problems.join('; ')
  throw new AgentError(
    'KEY_UNAVAILABLE',
    `the native addon with which TLS uses a key inside a TPM is missing: ${found}; ${remedy}`,
  )
}

const remedy =
  'build it with "touchmark-agent doctor --build-addon" (Debian: apt-get install g++ make python3 before), ' +
  'or join with a token where the profile takes a key in a file'
