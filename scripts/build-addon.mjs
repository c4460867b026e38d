// Never fails an installation: without a compiler everything works but TLS with a key that stays in the TPM.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

if (existsSync('native/binding.gyp')) {
  const built = spawnSync('node-gyp', ['rebuild', '--directory=native'], { stdio: 'ignore' })
  if (built.status !== 0) {
    console.error(
      'touchmark: no C compiler found, so TLS keys cannot stay in a TPM on this machine; everything else works.',
    )
    console.error('           Install one (Debian: apt-get install g++ make python3) and run "npm rebuild touchmark".')
  }
}
