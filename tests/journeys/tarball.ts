import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runForeign } from './world.js'

export const repository = fileURLToPath(new URL('../../..', import.meta.url))

/** Without the scripts that come before: they would build anew, and take the running tests away. */
export async function pack(folder: string): Promise<string> {
  const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder]
  const packed = await runForeign('npm', args, { cwd: repository })
  assert.equal(packed.exitCode, 0, packed.stderr)
  return join(folder, packed.stdout.trim())
}

/** An application that has the package installed, and nothing else. */
export async function openApplication(folder: string): Promise<string> {
  const application = join(folder, 'application')
  mkdirSync(application)
  writeFileSync(join(application, 'package.json'), '{ "type": "module" }')
  const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', await pack(folder)]
  const installed = await runForeign('npm', args, { cwd: application, timeout: 60_000 })
  assert.equal(installed.exitCode, 0, installed.stderr)
  return application
}
