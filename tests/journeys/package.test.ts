import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import test from 'node:test'
import { needs } from '../needs.js'
import { pack } from './tarball.js'
import { runForeign, temporaryFolder } from './world.js'

const compilers = ['make', 'cc', 'gcc', 'g++', 'c++', 'clang']

test('the tarball holds what is needed to run, and nothing else', needs('npm', 'tar'), async (t) => {
  const tarball = await pack(temporaryFolder(t))
  const { stdout } = await runForeign('tar', ['-tzf', tarball])
  const files = stdout.trim().split('\n')
  for (const file of [
    ...['package.json', 'LICENSE', 'schemas/policy.schema.json'],
    ...['tpm-makers/PROVENANCE.tsv', 'tpm-makers/IFX/roots.pem', 'tpm-makers/IFX/intermediates.pem'],
    ...['dist/bin/touchmark.js', 'dist/bin/touchmark-agent.js'],
    ...['dist/device-agent/library/library.js', 'dist/device-agent/library/library.d.ts'],
  ]) {
    assert.ok(files.includes(`package/${file}`), file)
  }
  const stray =
    /\.map$|(?<!library\/(api|library)\.d)\.ts$|\.tsbuildinfo$|simulated|^package\/(tests|demo|dist\/(tests|demo|simulators)|node_modules|native\/build)\//
  assert.deepEqual(
    files.filter((file) => stray.test(file)),
    [],
  )
})

for (const compiler of ['with', 'without'] as const) {
  test(
    `installs into an empty folder ${compiler} a compiler, and both programs run`,
    needs('npm', 'tar'),
    async (t) => {
      const folder = temporaryFolder(t)
      const tarball = await pack(folder)
      const environment = compiler === 'with' ? process.env : withoutCompiler(folder)
      const application = join(folder, 'application')
      mkdirSync(application)
      writeFileSync(join(application, 'package.json'), '{}')
      const run = (program: string, ...args: string[]) =>
        runForeign(program, args, { cwd: application, env: environment, timeout: 60_000 })

      const installed = await run('npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', tarball)
      assert.equal(installed.exitCode, 0, installed.stderr)
      assert.doesNotMatch(installed.stdout + installed.stderr, /EBADENGINE|deprecated/)
      const version = await run('npx', '--offline', 'touchmark', '--version')
      assert.match(version.stdout, /^\d+\.\d+\.\d+/)
      for (const program of ['touchmark', 'touchmark-agent']) {
        const help = await run('npx', '--offline', program, '--help')
        assert.deepEqual([help.exitCode, help.stdout.includes(`Usage: ${program}`)], [0, true], help.stderr)
      }

      const state = ['--data', join(folder, 'state')]
      const doctor = await run(
        'npx',
        '--offline',
        'touchmark-agent',
        'doctor',
        '--tpm',
        'swtpm:none',
        ...state,
        '-o',
        'json',
      )
      const checks = JSON.parse(doctor.stdout) as readonly { readonly name: string; readonly result: string }[]
      const addon = checks.find(({ name }) => name === 'addon')
      assert.deepEqual([doctor.exitCode, addon?.result], [8, compiler === 'with' ? 'ok' : 'fail'])
      const uri = `touchmark://localhost:1/default?pin=sha256:${'A'.repeat(43)}`
      const joining = await run(
        'npx',
        '--offline',
        'touchmark-agent',
        'enroll',
        '--tpm',
        'swtpm:none',
        '--join',
        uri,
        ...state,
      )
      assert.match(
        joining.stderr,
        compiler === 'with' ? /\[TPM_UNREACHABLE\]/ : /doctor --build-addon.*\[KEY_UNAVAILABLE\]/,
      )
      if (compiler === 'with') return

      const building = ['--offline', 'touchmark-agent', 'doctor', '--build-addon', '--tpm', 'swtpm:none', ...state]
      const inVain = await run('npx', ...building, '-o', 'json')
      assert.match(inVain.stderr, /apt-get install.*\n.*could not be built; see above.*\[KEY_UNAVAILABLE\]/s)
      const later = await runForeign('npx', [...building, '-o', 'json'], { cwd: application, timeout: 60_000 })
      const found = JSON.parse(later.stdout) as readonly { readonly name: string; readonly result: string }[]
      assert.equal(found.find(({ name }) => name === 'addon')?.result, 'ok', later.stderr)
    },
  )
}

function withoutCompiler(folder: string): NodeJS.ProcessEnv {
  const stubs = join(folder, 'stubs')
  mkdirSync(stubs)
  for (const name of compilers) {
    writeFileSync(join(stubs, name), '#!/bin/sh\nexit 127\n')
    chmodSync(join(stubs, name), 0o755)
  }
  return { ...process.env, PATH: [stubs, process.env['PATH']].join(delimiter) }
}
