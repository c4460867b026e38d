import { decodeJoinAnswer, encodeBase64url, type Labels, routes } from '#protocol'
import { createCsr } from '#x509'
import type { JoinMethod } from './enroll.js'
import { createSoftwareKeyFile } from './key-file.js'
import { SoftwareKey } from './software-key.js'

/**
 * Joins with a token: one request (enrollment spec §1). `token` reads `tm1.<id>.<secret>`; a repeat with the same key
 * gets the same certificate.
 */
export function tokenJoin(token: string, reported: Labels): JoinMethod {
  return {
    isUsable: (key) => Promise.resolve(key.kind === 'software'),
    createKey: () => Promise.resolve(createSoftwareKeyFile()),
    prepare: async (file) => {
      if (file.kind !== 'software') throw new TypeError('a key that isUsable has let pass')
      const key = SoftwareKey.fromPem(file.pem)
      const csr = await createCsr({ spki: key.spki, sign: (data) => key.sign(data) })
      return {
        key,
        ask: (service, { profile }) =>
          service.send(routes.joinToken, decodeJoinAnswer, { profile, csr: encodeBase64url(csr), reported }, token),
      }
    },
  }
}
