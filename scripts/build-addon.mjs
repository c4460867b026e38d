// Never fails an installation: without a compiler everything works but TLS with a key that stays in the TPM.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

if (existsSync('native/binding.gyp')) {
  const built = spawnSync('node-gyp', ['rebuild', '--directory=native'], { stdio: 'ignore' })
  if (built.status !== 0) {
    console.error('touchmark: the addon for TLS keys that stay in a TPM could not be built; everything else works.')
    console.error(
      '           It needs a C compiler, make and Python (Debian: apt-get install g++ make python3); then "npm rebuild touchmark".',
    )
  }
}
