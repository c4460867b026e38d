import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuditLog } from '#audit'
import { Broker } from '#broker'
import { type EffectivePolicy, parsePolicy, RateLimiter, renderPolicy } from '#policy'
import type { DeviceId } from '#protocol'
import { openLevelStore } from '#store'
import { ClientCertificates, decodePem, readDeviceIdentity } from '#x509'
import { labelsOf, policySource, trustDomain } from '../fleet.js'
import { type Given, serveBenchmark } from './node-broker.js'

/* The broker as the service wires it, with its log and its store on disk; only who is admitted is not looked up. */

const [, , folder = '', mode] = process.argv
const { tls } = JSON.parse(readFileSync(join(folder, 'given.json'), 'utf8')) as Given
const now = Date.now
const store = await openLevelStore(join(folder, 'store'))
const audit = await AuditLog.open({
  directory: join(folder, 'audit'),
  origin: `${trustDomain}/audit`,
  signingKey: generateKeyPairSync('ed25519').privateKey,
  mode: mode === 'relaxed' ? 'relaxed' : 'strict',
  payload: mode === 'committed' ? { mode: 'commit', keyFolder: join(folder, 'payload-keys') } : undefined,
  now,
})
const policy = parsePolicy(policySource, 'policy.yaml')
const rates = new RateLimiter({ now })
const rendered = new Map<DeviceId, EffectivePolicy>()
const devices = new ClientCertificates((der) => readDeviceIdentity(der, trustDomain))
const anchors = decodePem(tls.ca, 'CERTIFICATE')
const broker = await Broker.open({
  audit,
  store,
  identify: (der) => devices.holderOf(der, { intermediates: [], anchors, at: new Date(now()) }),
  admit: () => ({ admitted: true, state: 'current' }),
  promote: () => Promise.resolve(),
  policyFor: rightsOf,
  now,
})

/** Once for each device, as the service does. */
function rightsOf(id: DeviceId): EffectivePolicy {
  const known = rendered.get(id) ?? renderPolicy(policy, { id, tier: 'tpm', labels: labelsOf(id) }, {}, rates)
  rendered.set(id, known)
  return known
}

const { port } = await broker.listen({ host: '127.0.0.1', port: 0, tls })
serveBenchmark(port, async () => {
  await broker.closeGracefully()
  const records = audit.size
  await audit.close()
  await store.close()
  return { records, verifierKey: audit.verifierKey }
})
