import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { type RunningSwtpm, startSwtpm } from '#simulators'
import { decodeAttest, openTpm, type Tpm } from '#tpm'
import { decodePem, verifyPath, X509Error } from '#x509'
import { needs } from '../needs.js'

const options = needs('swtpm', 'swtpm_setup')
const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))

after(() => rmSync(folder, { recursive: true }))

test(
  'a swtpm’s EK certificates lead to its own root only, and after a restart it is the same TPM',
  options,
  async () => {
    const other = await startSwtpm({ folder: join(folder, 'other') })
    await other.stop()
    const first = await using('one', async (swtpm, tpm) => {
      const templates = await tpm.endorsementKeyTemplates()
      assert.deepEqual(templates, ['ecc-p384', 'rsa-2048'])
      for (const template of templates) {
        const [leaf] = (await tpm.endorsementKey(template)).certificates
        assert.ok(leaf)
        const request = { leaf, intermediates: der(swtpm.ekIntermediates), at: new Date(), purpose: 'ek' } as const
        assert.equal(verifyPath({ ...request, anchors: der(swtpm.ekRoots) }).path.length, 3)
        assert.throws(() => verifyPath({ ...request, anchors: der(other.ekRoots) }), X509Error)
      }
      return facts(tpm)
    })
    const second = await using('one', (_, tpm) => facts(tpm))
    assert.deepEqual(second.ak, first.ak)
    assert.deepEqual(second.ek, first.ek)
    assert.equal(second.resetCount, first.resetCount + 1)
  },
)

async function using<T>(name: string, use: (swtpm: RunningSwtpm, tpm: Tpm) => Promise<T>): Promise<T> {
  const swtpm = await startSwtpm({ folder: join(folder, name) })
  try {
    const tpm = await openTpm(swtpm.spec)
    const result = await use(swtpm, tpm)
    await tpm.close()
    return result
  } finally {
    await swtpm.stop()
  }
}

async function facts(tpm: Tpm) {
  const ak = await tpm.attestationKey()
  const { attest } = await tpm.quote(ak, new Uint8Array(0), [0])
  const { resetCount } = decodeAttest(attest).clockInfo
  return { ak: ak.public, ek: (await tpm.endorsementKey('ecc-p384')).public, resetCount }
}

function der(pems: readonly string[]): readonly Uint8Array[] {
  return pems.flatMap((pem) => decodePem(pem, 'CERTIFICATE'))
}
