// Builds the addon for TLS keys that stay in a TPM. As the install script it never fails an installation: without the
// addon everything else works. `--loud` shows what the compiler says, and fails with it. `--prebuild [ARCH]` puts the
// result where the package carries it, native/prebuilds/<platform>-<arch>/; for another ARCH, CC names its compiler.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const native = fileURLToPath(new URL('../native/', import.meta.url))
const options = process.argv.slice(2)
const isPrebuild = options.includes('--prebuild')
const isLoud = isPrebuild || options.includes('--loud')
const arch = options.find((option) => !option.startsWith('--')) ?? process.arch
const prebuilt = `${native}prebuilds/${process.platform}-${arch}/tpm_key.node`

if (existsSync(`${native}binding.gyp`) && (isLoud || !loads(prebuilt))) {
  const built = spawnSync('node-gyp', ['rebuild', `--directory=${native}`, `--arch=${arch}`], {
    stdio: isLoud ? ['ignore', 2, 2] : 'ignore',
  })
  if (built.status !== 0) complain()
  else if (isPrebuild) {
    mkdirSync(`${native}prebuilds/${process.platform}-${arch}`, { recursive: true })
    copyFileSync(`${native}build/Release/tpm_key.node`, prebuilt)
    console.error(`touchmark: ${prebuilt}`)
  }
}

/** One that came with the package may be for another C library. */
function loads(path) {
  try {
    createRequire(import.meta.url)(path)
    return true
  } catch {
    return false
  }
}

function complain() {
  console.error('touchmark: the addon for TLS keys that stay in a TPM could not be built; everything else works.')
  console.error(
    '           It needs a C compiler, make and Python (Debian: apt-get install g++ make python3); then "touchmark-agent doctor --build-addon".',
  )
  if (isLoud) process.exitCode = 1
}
