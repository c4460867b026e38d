// Provides the programs that the tests hold us against: as root from Debian's packages, otherwise by saying what is missing.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'

/** Program, or a library's file → Debian package. A test names what it needs with `needs(…)` of tests/needs.ts. */
const programs = {
  swtpm: 'swtpm',
  swtpm_setup: 'swtpm-tools',
  tpm2_nvdefine: 'tpm2-tools',
  openssl: 'openssl',
  curl: 'curl',
  mosquitto_pub: 'mosquitto-clients',
  '/usr/sbin/mosquitto': 'mosquitto',
  '/usr/lib/python3/dist-packages/paho/mqtt/client.py': 'python3-paho-mqtt',
  '/usr/include/MQTTClient.h': 'libpaho-mqtt-dev',
  basenc: 'coreutils',
  sha256sum: 'coreutils',
  od: 'coreutils',
  sed: 'sed',
  prlimit: 'util-linux',
  bash: 'bash',
  gcc: 'gcc',
  '/usr/include/stdio.h': 'libc6-dev',
  go: 'golang-go',
  '/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog/tlog.go': 'golang-golang-x-mod-dev',
}

const isThere = (name) => (name.startsWith('/') ? existsSync(name) : spawnSync('which', [name]).status === 0)
const missing = () => Object.keys(programs).filter((name) => !isThere(name))

let absent = missing()
if (absent.length > 0 && process.getuid?.() === 0 && spawnSync('which', ['apt-get']).status === 0) {
  const packages = [...new Set(absent.map((program) => programs[program]))]
  process.stderr.write(`touchmark: installing ${packages.join(', ')} for the tests (once) …\n`)
  const apt = (...args) =>
    spawnSync('apt-get', args, {
      stdio: ['ignore', 'ignore', 2],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  apt('update', '-qq')
  withoutServices(() => apt('install', '-y', '-qq', '--no-install-recommends', ...packages))
  absent = missing()
}
if (absent.length > 0) {
  const packages = [...new Set(absent.map((program) => programs[program]))]
  process.stderr.write(
    `touchmark: not installed: ${absent.join(', ')}. The suites that need them cannot run and are counted as skipped` +
      `${process.env.CI ? ', which is a failure in CI' : ''}.\n` +
      `           On Debian or Ubuntu: sudo apt-get install ${packages.join(' ')}\n`,
  )
}

/** Some packages start a service when they are installed; the tests start their own. Debian asks this program before. */
function withoutServices(install) {
  const policy = '/usr/sbin/policy-rc.d'
  if (existsSync(policy)) return install()
  const ignore = () => {}
  process.on('SIGINT', ignore) // Ctrl-C ends the installation, and must not leave this behind
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 }) // 101: action forbidden
  try {
    install()
  } finally {
    rmSync(policy)
    process.off('SIGINT', ignore)
  }
}
