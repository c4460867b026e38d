import type { KeyObject } from 'node:crypto'
import { type DeviceId, type Labels, parseDeviceId, parseTrustDomain } from '#protocol'
import { createCertificate, createKeyPair, encodePem, type Issuer, oids, spkiOf, tierPolicyOid } from '#x509'

/** PEM */
export interface Credential {
  readonly key: string
  readonly cert: string
}

/** Everything a contestant and the load need to know each other by; travels as JSON. */
export interface Fleet {
  readonly ca: string
  readonly server: Credential
  /** By client id, which is the certificate's common name. */
  readonly clients: Readonly<Record<string, Credential>>
}

/** What clients need of it. */
export type Credentials = Pick<Fleet, 'ca' | 'clients'>

export const trustDomain = parseTrustDomain('bench.example')

/** Hears what every device of its site says. */
export const collector = 'collector-0001'
/** Tells all devices of its site what to do. */
export const controller = 'controller-0001'
export const deviceName = (index: number): string => `device-${String(index).padStart(4, '0')}`

export const telemetryTopic = (device: string): string => `fleet/site-7/${device}/telemetry/temperature`
export const telemetryFilter = 'fleet/site-7/+/telemetry/#'
export const commandTopic = 'fleet/site-7/commands/configuration'
export const commandFilter = 'fleet/site-7/commands/#'

/** What the registry would say of a client. */
export function labelsOf(device: DeviceId): Labels {
  return { kind: device.replace(/-.*$/, ''), site: 'site-7' }
}

/** The rights of all; the other brokers are given the same in their own words. */
export const policySource = `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: bench, version: 1 }
roles:
  device:
    allow:
      - { id: say, actions: [publish], topics: ["fleet/site-7/\${device.id}/#"], qos: { max: 2 }, retain: true }
      - { id: hear, actions: [subscribe, receive], topics: ["fleet/site-7/commands/#"], qos: { max: 2 } }
  collector:
    allow:
      - { id: listen, actions: [subscribe, receive], topics: ["fleet/site-7/+/telemetry/#"], qos: { max: 2 } }
  controller:
    allow:
      - { id: command, actions: [publish], topics: ["fleet/site-7/commands/#"], qos: { max: 2 } }
bindings:
  - { role: device, match: { labels: { kind: device } } }
  - { role: collector, match: { labels: { kind: collector } } }
  - { role: controller, match: { labels: { kind: controller } } }
`

/** A CA, a server and so many devices, each with a P-256 key of its own. */
export async function createFleet(devices: number): Promise<Fleet> {
  const validity = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000) }
  const root = createKeyPair('P-256')
  const rootDer = await createCertificate(
    {
      ...validity,
      subject: [{ type: oids.commonName, value: 'Benchmark root' }],
      spki: spkiOf(root.publicKey),
      authority: {},
      keyUsage: ['keyCertSign', 'cRLSign'],
    },
    { privateKey: root.privateKey },
  )
  const issuer: Issuer = { privateKey: root.privateKey, certificate: rootDer }
  const names = [collector, controller, ...Array.from({ length: devices }, (_, index) => deviceName(index))]
  const clients: Record<string, Credential> = {}
  for (const name of names) clients[name] = await createClient(parseDeviceId(name), issuer, validity)
  return { ca: encodePem('CERTIFICATE', rootDer), server: await createServer(issuer, validity), clients }
}

interface Validity {
  readonly notBefore: Date
  readonly notAfter: Date
}

async function createServer(issuer: Issuer, validity: Validity): Promise<Credential> {
  const pair = createKeyPair('P-256')
  const der = await createCertificate(
    {
      ...validity,
      subject: [{ type: oids.commonName, value: 'localhost' }],
      spki: spkiOf(pair.publicKey),
      keyUsage: ['digitalSignature'],
      extKeyUsage: [oids.serverAuth],
      subjectAltName: [{ dns: 'localhost' }, { ip: '127.0.0.1' }],
    },
    issuer,
  )
  return credential(pair.privateKey, der)
}

async function createClient(device: DeviceId, issuer: Issuer, validity: Validity): Promise<Credential> {
  const pair = createKeyPair('P-256')
  const der = await createCertificate(
    {
      ...validity,
      subject: [{ type: oids.commonName, value: device }],
      spki: spkiOf(pair.publicKey),
      keyUsage: ['digitalSignature'],
      extKeyUsage: [oids.clientAuth],
      subjectAltName: [{ uri: `spiffe://${trustDomain}/device/${device}` }],
      certificatePolicies: [tierPolicyOid('tpm')],
      noRevAvail: true,
    },
    issuer,
  )
  return credential(pair.privateKey, der)
}

function credential(key: KeyObject, der: Uint8Array): Credential {
  return { key: key.export({ type: 'pkcs8', format: 'pem' }).toString(), cert: encodePem('CERTIFICATE', der) }
}
