import { parseDeviceId, parseInstanceId } from '#protocol'
import { encodePem } from '#x509'
import type { IssuedGeneration } from '../../device-agent/generation.js'
import { SoftwareKey } from '../../device-agent/software-key.js'
import { createTestCa, type TestCa } from './service-double.js'

/** What a device has in use, in memory only. */
export async function issuedGeneration(ca?: TestCa): Promise<IssuedGeneration> {
  const by = ca ?? (await createTestCa())
  const key = SoftwareKey.create()
  const leaf = await by.issueDevice(key.spki, 'gate-7')
  const now = Date.now()
  return {
    number: 1,
    folder: '/nowhere/generations/1',
    key: { kind: 'software', pem: key.toPem() },
    certificateChain: [leaf, by.issuing].map((der) => encodePem('CERTIFICATE', der)).join(''),
    trustBundle: encodePem('CERTIFICATE', by.root),
    facts: {
      deviceId: parseDeviceId('gate-7'),
      instanceId: parseInstanceId('i1'),
      joinUri: 'touchmark://localhost:8443/default?pin=sha256:x',
      broker: 'mqtts://localhost:8883',
      trustBundleSequence: 1,
      keyKind: 'software',
      notBefore: new Date(now),
      notAfter: new Date(now + 3_600_000),
      renewal: { start: new Date(now), end: new Date(now) },
    },
  }
}
