import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuditLog } from '#audit'
import { Broker } from '#broker'
import { parsePolicy, renderPolicy } from '#policy'
import { parseTrustDomain } from '#protocol'
import { openLevelStore } from '#store'
import { readDeviceIdentity } from '#x509'

/** What the test has written for it. */
export interface Given {
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string }
  readonly trustDomain: string
  readonly policy: string
  readonly signingKey: string
}

/** A broker whose log and store are on disk. Prints its port; ends in good order at SIGTERM, or is killed. */
const [, , folder = ''] = process.argv
const given = JSON.parse(readFileSync(join(folder, 'given.json'), 'utf8')) as Given
const store = await openLevelStore(join(folder, 'store'))
const audit = await AuditLog.open({
  directory: join(folder, 'audit'),
  origin: 'test/audit',
  signingKey: createPrivateKey(given.signingKey),
  now: Date.now,
})
const policy = parsePolicy(given.policy, 'policy.yaml')
const broker = await Broker.open({
  audit,
  store,
  identify: (der) => readDeviceIdentity(der, parseTrustDomain(given.trustDomain)),
  admit: () => ({ admitted: true, state: 'current' }),
  promote: () => Promise.resolve(),
  policyFor: (id) => renderPolicy(policy, { id, tier: 'tpm', labels: { kind: 'device' } }),
  now: Date.now,
})
const { port } = await broker.listen({ host: '127.0.0.1', port: 0, tls: given.tls })
process.once('SIGTERM', () => void end())
process.stdout.write(`${port}\n`)

async function end(): Promise<void> {
  await broker.closeGracefully()
  await store.close()
  await audit.close()
}
