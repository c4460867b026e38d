import type { KeyObject } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { decodeRenewRequest, decodeTokenJoinRequest, encodeJoinUri, parseProfileName, routes, tiers } from '#protocol'
import { createCertificate, createKeyPair, decodeCsr, encodePem, oids, spkiHash, spkiOf, tierPolicyOid } from '#x509'

const hourMs = 3_600_000

export interface TestCa {
  readonly root: Uint8Array
  readonly issuing: Uint8Array
  readonly pin: ReturnType<typeof spkiHash>
  issueServer(options?: ServerOptions): Promise<{ readonly key: string; readonly cert: string }>
  issueDevice(spki: Uint8Array, id: string, validity?: Validity): Promise<Uint8Array>
}

export interface Validity {
  readonly notBefore: number
  readonly notAfter: number
}

export interface ServerOptions extends Partial<Validity> {
  readonly dns?: string
  readonly ip?: string
}

/** A root, an issuing CA and what they issue: the profile of the real ones as far as an agent looks at it. */
export async function createTestCa(now = Date.now()): Promise<TestCa> {
  const validity = { notBefore: new Date(now - 24 * hourMs), notAfter: new Date(now + 24 * 365 * hourMs) }
  const rootKey = createKeyPair('P-384')
  const issuingKey = createKeyPair('P-256')
  const named = (value: string) => [{ type: oids.commonName, value }]
  const root = await createCertificate(
    {
      ...validity,
      subject: named('Root'),
      spki: spkiOf(rootKey.publicKey),
      authority: {},
      keyUsage: ['keyCertSign'],
      subjectAltName: [{ uri: 'spiffe://test.local' }],
    },
    { privateKey: rootKey.privateKey },
  )
  const issuing = await createCertificate(
    {
      ...validity,
      subject: named('Issuing'),
      spki: spkiOf(issuingKey.publicKey),
      authority: { pathLength: 0 },
      keyUsage: ['keyCertSign'],
    },
    { privateKey: rootKey.privateKey, certificate: root },
  )
  const issuer = { privateKey: issuingKey.privateKey, certificate: issuing }
  return {
    root,
    issuing,
    pin: spkiHash(spkiOf(rootKey.publicKey)),
    issueServer: async ({ dns = 'localhost', ip, notBefore = now - hourMs, notAfter = now + hourMs } = {}) => {
      const { privateKey, publicKey } = createKeyPair('P-256')
      const leaf = await createCertificate(
        {
          subject: named('Server'),
          spki: spkiOf(publicKey),
          notBefore: new Date(notBefore),
          notAfter: new Date(notAfter),
          keyUsage: ['digitalSignature'],
          extKeyUsage: [oids.serverAuth],
          subjectAltName: [{ dns }, ...(ip === undefined ? [] : [{ ip }]), { uri: 'spiffe://test.local/server' }],
        },
        issuer,
      )
      return {
        key: pemOf(privateKey),
        cert: [leaf, issuing, root].map((der) => encodePem('CERTIFICATE', der)).join(''),
      }
    },
    issueDevice: (spki, id, { notBefore, notAfter } = { notBefore: now - 300_000, notAfter: now + 23 * hourMs }) =>
      createCertificate(
        {
          subject: named(id),
          spki,
          notBefore: new Date(notBefore),
          notAfter: new Date(notAfter),
          keyUsage: ['digitalSignature'],
          extKeyUsage: [oids.clientAuth],
          subjectAltName: [{ uri: `spiffe://test.local/device/${id}` }],
          certificatePolicies: tiers.filter((tier) => tier === 'token').map(tierPolicyOid),
        },
        issuer,
      ),
  }
}

export interface TestRequest {
  readonly path: string
  readonly body: unknown
  readonly authorization: string | undefined
  readonly socket: TLSSocket
}

export type Reply =
  | { readonly status: number; readonly body: unknown; readonly headers?: Readonly<Record<string, string>> }
  /** Raw text instead of JSON. */
  | { readonly status: number; readonly raw: string }
  | 'hang'
  | 'drop'

export interface TestService {
  readonly port: number
  readonly requests: TestRequest[]
  joinUri(overrides?: { readonly host?: string; readonly pin?: TestCa['pin'] }): string
  close(): Promise<void>
}

/** An HTTPS server on a free port of the loopback that answers as the test says. */
export async function startService(
  ca: TestCa,
  reply: (request: TestRequest) => Reply | Promise<Reply>,
  tls: ServerOptions & { readonly minVersion?: 'TLSv1.2'; readonly maxVersion?: 'TLSv1.2' } = {},
): Promise<TestService> {
  const { minVersion = 'TLSv1.3', maxVersion = 'TLSv1.3', ...certificate } = tls
  const server = createServer({
    ...(await ca.issueServer(certificate)),
    minVersion,
    maxVersion,
    requestCert: true,
    rejectUnauthorized: false,
  })
  const requests: TestRequest[] = []
  const sockets = new Set<TLSSocket>()
  server.on('secureConnection', (socket: TLSSocket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
  })
  server.on('request', (incoming: IncomingMessage, response: ServerResponse) => {
    void answer(incoming, response, requests, incoming.url === routes.joinTerms.path ? nothingAsked : reply)
  })
  await listening(server)
  const { port } = server.address() as AddressInfo
  return {
    port,
    requests,
    joinUri: ({ host = 'localhost', pin = ca.pin } = {}) =>
      encodeJoinUri({ host, port, profile: parseProfileName('default'), pins: [pin] }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** No PCR policy holds. */
const nothingAsked = (): Reply => ({ status: 200, body: { pcrs: [], eventLog: false } })

async function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  requests: TestRequest[],
  reply: (request: TestRequest) => Reply | Promise<Reply>,
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
  const request: TestRequest = {
    path: incoming.url ?? '',
    body: chunks.length === 0 ? undefined : (JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown),
    authorization: incoming.headers.authorization,
    socket: incoming.socket as TLSSocket,
  }
  requests.push(request)
  const said = await reply(request)
  if (said === 'hang') return
  if (said === 'drop') return void incoming.socket.destroy()
  const headers = 'headers' in said ? said.headers : {}
  response.writeHead(said.status, { 'content-type': 'application/json', ...headers })
  response.end('raw' in said ? said.raw : JSON.stringify(said.body))
}

/** Answers token joins and renewals as the real service does: the same key, the same certificate. */
export function issuingReply(ca: TestCa, options: { id?: string; validity?: Validity; serverTime?: number } = {}) {
  const issued = new Map<string, Uint8Array>()
  const now = options.serverTime ?? Date.now()
  return async (request: TestRequest): Promise<Reply> => {
    const decode = request.path === routes.renew.path ? decodeRenewRequest : decodeTokenJoinRequest
    const { csr } = decode(request.body, '')
    const { spki, spkiHash: hash } = decodeCsr(csr)
    const id = options.id ?? 'gate-7'
    const certificate = issued.get(hash) ?? (await ca.issueDevice(spki, id, options.validity))
    issued.set(hash, certificate)
    return { status: 201, body: joinAnswer(ca, certificate, id, now) }
  }
}

export function joinAnswer(ca: TestCa, certificate: Uint8Array, id: string, now = Date.now()) {
  const [issuing, root] = [ca.issuing, ca.root].map((der) => encodePem('CERTIFICATE', der))
  return {
    deviceId: id,
    instanceId: 'i1',
    certificate: encodePem('CERTIFICATE', certificate),
    chain: [issuing, root],
    trustBundle: { sequence: 1, certificates: [root] },
    broker: { mqtts: 'mqtts://localhost:8883' },
    renewal: { start: new Date(now + 12 * hourMs).toISOString(), end: new Date(now + 16 * hourMs).toISOString() },
    serverTime: new Date(now).toISOString(),
  }
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.listen(0, 'localhost', resolve)
  })
}
