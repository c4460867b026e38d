import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { ensureOperatorCredential } from '../../server/operator-credential.js'
import { localAdmin } from '../../server/local-admin.js'
import { createCaWorld } from '../ca/world.js'
import { by, hour } from '../registry/world.js'

test('a local admin who is revoked while his certificate is renewed gets none for the old key', async (t) => {
  const world = await createCaWorld(t)
  const { registry, now } = world
  const ca = await world.openCa()
  const folder = join(world.folder, 'operator')
  let revoked = Promise.resolve()
  const ensure = (revokesMeanwhile = false) => {
    const issueOperator: typeof ca.issueOperator = async (...request) => {
      if (revokesMeanwhile) revoked = registry.operators.revoke(localAdmin, undefined, by).done
      return ca.issueOperator(...request)
    }
    const { root } = ca
    return ensureOperatorCredential({
      ...{ folder, now, ca: { root, issueOperator } },
      admitOperator: (fingerprint) => registry.admitOperator(fingerprint),
    })
  }
  const key = () => readFileSync(join(folder, 'operator.key'), 'utf8')
  await ensure()
  const before = key()
  world.clock.now += 20 * hour
  await assert.rejects(ensure(true), { code: 'UNKNOWN_CERTIFICATE' })
  await revoked
  assert.deepEqual(registry.operators.certificates(), [])
  await ensure()
  assert.notEqual(key(), before)
  assert.equal(registry.operators.certificates().length, 1)
})
