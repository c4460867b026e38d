import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { loadAddon } from '../../device-agent/tpm-key-addon.js'
import { temporaryFolder } from './temporary-folder.js'

const prebuilt = `prebuilds/${process.platform}-${process.arch}`
const built = 'build/Release'

test('the addon of the package comes before the one that was built here', (t) => {
  const folder = temporaryFolder(t)
  const { path } = loadAddon()
  for (const place of [built, prebuilt]) {
    mkdirSync(join(folder, place), { recursive: true })
    copyFileSync(path, join(folder, place, 'tpm_key.node'))
    const loaded = loadAddon(folder)
    assert.equal(loaded.path, join(folder, place, 'tpm_key.node'))
    assert.equal(typeof loaded.addon.register, 'function')
  }
})

test('one that does not load here is passed over, and named where there is no other', (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, prebuilt), { recursive: true })
  writeFileSync(join(folder, prebuilt, 'tpm_key.node'), 'for another machine')
  assert.throws(() => loadAddon(folder), {
    code: 'KEY_UNAVAILABLE',
    message: /prebuilds.*does not load.*--build-addon/,
  })
  mkdirSync(join(folder, built), { recursive: true })
  copyFileSync(loadAddon().path, join(folder, built, 'tpm_key.node'))
  assert.equal(loadAddon(folder).path, join(folder, built, 'tpm_key.node'))
})

test('without any the message says how to get one', (t) => {
  assert.throws(() => loadAddon(temporaryFolder(t)), { code: 'KEY_UNAVAILABLE', message: /doctor --build-addon/ })
})
