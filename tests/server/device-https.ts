import { sign } from 'node:crypto'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { encodeBase64url } from '#protocol'
import { createCsr, createKeyPair, spkiOf } from '#x509'

/** Of a device, with the request for its certificate as it goes over the wire. */
export async function newKey() {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const csr = await createCsr({
    spki: spkiOf(publicKey),
    sign: async (data: Uint8Array) => new Uint8Array(sign('sha256', data, privateKey)),
  })
  return { privateKey, csr: encodeBase64url(csr) }
}

export interface Sending {
  readonly port: number
  readonly ca: string
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly cert?: string
  readonly key?: string
}

/** One request over a connection of its own, as a device that is no program of ours would send it. */
export function send(options: Sending, body?: string): Promise<{ readonly status: number; readonly body: string }> {
  const headers = { ...(body !== undefined && { 'content-type': 'application/json' }), ...options.headers }
  return new Promise((resolve, reject) => {
    const sending = request({ ...options, host: 'localhost', agent: false, headers })
    sending.on('error', reject)
    sending.on('response', (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
    })
    sending.end(body)
  })
}

export function pem(key: ReturnType<typeof createKeyPair>['privateKey']): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString()
}
