import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose'
import { createCertificate, createKeyPair, encodePem, oids, spkiOf } from '#x509'
import { makeRoot } from '../../x509/world.js'

/** Node verifies servers by the real clock. */
const always = { notBefore: new Date('2020-01-01T00:00:00Z'), notAfter: new Date('2090-01-01T00:00:00Z') }

/** What a token says; not always what a token may say. */
export type Claims = Readonly<Record<string, unknown>>

export interface IssuerReply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

interface SigningKey {
  readonly kid: string
  readonly alg: 'RS256' | 'ES256'
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}

export interface TestIssuer {
  readonly url: string
  /** PEM of the CA that its server's certificate leads to. */
  readonly ca: string
  /** Paths that it was asked for. */
  readonly asked: string[]
  /** What is answered otherwise than usual, by path. */
  readonly replies: Map<string, IssuerReply>
  /** Signs with the newest key, or with one of the issuer's that is given. */
  sign(claims: Claims, header?: { readonly kid?: string; readonly [name: string]: unknown }): Promise<string>
  /** A token signed with nothing, or with the public key as if it were a secret. */
  forge(claims: Claims, alg: 'none' | 'HS256'): Promise<string>
  /** Signs with another key from now on; `forgets` what it had before. */
  rotate(alg?: SigningKey['alg']): Promise<void>
  close(): Promise<void>
}

/** A CI's issuer on HTTPS, with a CA of its own. */
export async function startIssuer(t: TestContext): Promise<TestIssuer> {
  const root = await makeRoot(always)
  const { privateKey, publicKey } = createKeyPair('P-256')
  const certificate = await createCertificate(
    {
      ...always,
      subject: [{ type: oids.commonName, value: 'issuer' }],
      spki: spkiOf(publicKey),
      keyUsage: ['digitalSignature'],
      extKeyUsage: [oids.serverAuth],
      subjectAltName: [{ ip: '127.0.0.1' }],
    },
    root,
  )
  let key = await newKey('RS256')
  const asked: string[] = []
  const replies = new Map<string, IssuerReply>()
  const usual = async (path: string): Promise<IssuerReply> => {
    if (path === '/keys') return { body: JSON.stringify({ keys: [await publicJwk(key)] }) }
    if (path !== '/.well-known/openid-configuration') return { status: 404 }
    return { body: JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` }) }
  }
  const server = createServer(
    {
      key: privateKey.export({ format: 'pem', type: 'pkcs8' }),
      cert: encodePem('CERTIFICATE', certificate),
    },
    ({ url: path = '' }, response) => {
      asked.push(path)
      void (async () => {
        const { status = 200, headers = {}, body = '' } = replies.get(path) ?? (await usual(path))
        response.writeHead(status, headers).end(body)
      })()
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `https://127.0.0.1:${port}`
  const close = async () => {
    if (!server.listening) return
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  t.after(close)
  return {
    url,
    ca: encodePem('CERTIFICATE', root.certificate),
    asked,
    replies,
    sign: (claims, header = {}) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: key.alg, kid: key.kid, ...header }).sign(key.privateKey),
    forge: async (claims, alg) => {
      const signed = [{ alg, kid: key.kid }, claims].map((part) => base64url(JSON.stringify(part))).join('.')
      const secret = await exportSPKI(key.publicKey)
      return `${signed}.${alg === 'none' ? '' : createHmac('sha256', secret).update(signed).digest('base64url')}`
    },
    rotate: async (alg = 'RS256') => {
      key = await newKey(alg)
    },
    close,
  }
}

let kids = 0

async function newKey(alg: SigningKey['alg']): Promise<SigningKey> {
  return { kid: `key-${++kids}`, alg, ...(await generateKeyPair(alg, { extractable: true })) }
}

async function publicJwk({ publicKey, kid, alg }: SigningKey): Promise<JWK> {
  return { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
