import { sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { decodeJoinAnswer, decodeJson, encodeBase64url, encodeJson, routes } from '#protocol'
import { createCsr, createKeyPair, spkiOf } from '#x509'
import type { Stage } from '../../demo/stage.js'

/** A device that is nothing but its key and its certificate. */
export interface BareDevice {
  readonly id: string
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string }
}

/** Joins as an agent does, in this process: for journeys of more devices than one starts agents for. */
export async function joinBare(stage: Stage, token: string): Promise<BareDevice> {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const csr = await createCsr({
    spki: spkiOf(publicKey),
    sign: async (data: Uint8Array) => new Uint8Array(sign('sha256', data, privateKey)),
  })
  const ca = readFileSync(join(stage.serverData, 'operator', 'ca.crt'), 'utf8')
  const answer = await post(stage, ca, token, encodeJson({ csr: encodeBase64url(csr) }))
  const { deviceId, certificate, chain } = decodeJson(answer, decodeJoinAnswer, 'the answer to a join')
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  return { id: deviceId, tls: { ca, cert: [certificate, ...chain].join(''), key } }
}

function post(stage: Stage, ca: string, token: string, body: string): Promise<string> {
  const { method, path } = routes.joinToken
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const sending = request({ ca, method, path, headers, host: 'localhost', port: stage.ports.https, agent: false })
    sending.on('error', reject)
    sending.on('response', (response) => void text(response).then(resolve, reject))
    sending.end(body)
  })
}
