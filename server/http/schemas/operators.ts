import Type from 'typebox'
import {
  type ActName,
  actNames,
  type InviteOperatorAnswer,
  type InviteOperatorRequest,
  type OperatorCertificateAnswer,
  type OperatorCsrRequest,
  type OperatorView,
  type OwnView,
  type RevokeOperatorAnswer,
} from '#protocol'
import { act, count, fingerprint, labels, operatorName, serial, strict, time, tokenId } from './fields.js'
import { held } from './held.js'

const actName = Type.Unsafe<ActName>({ type: 'string', enum: [...actNames] })

/** A name, or the fingerprint of a certificate. */
export const operatorParams = strict({ id: operatorName })

export const operatorView = held<OperatorView>()(
  strict({
    operator: operatorName,
    acts: Type.Array(actName),
    certificates: Type.Array(strict({ fingerprint, serial, notBefore: time, notAfter: time })),
    invitations: Type.Array(strict({ id: tokenId, by: operatorName, notAfter: time })),
  }),
)

export const operatorList = Type.Unsafe<readonly OperatorView[]>(Type.Array(operatorView))

export const ownView = held<OwnView>()(
  strict({
    operator: operatorName,
    fingerprint,
    notAfter: time,
    rules: Type.Array(
      strict({ id: Type.String(), acts: Type.Array(actName), labels, maxDevices: Type.Optional(count) }),
    ),
  }),
)

export const inviteOperatorRequest = held<InviteOperatorRequest>()(
  strict({
    operator: operatorName,
    ttlSeconds: Type.Optional(Type.Integer({ minimum: 300, maximum: 30 * 86_400 })),
    validSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 7 * 86_400 })),
    ...act,
  }),
)

export const inviteOperatorAnswer = held<InviteOperatorAnswer>()(
  strict({ id: tokenId, operator: operatorName, notAfter: time, invitation: Type.String() }),
)

export const operatorCsrRequest = held<OperatorCsrRequest>()(
  strict({ csr: Type.String({ maxLength: 11_000, description: 'PKCS#10, base64url of its DER' }) }),
)

export const operatorCertificateAnswer = held<OperatorCertificateAnswer>()(
  strict({ operator: operatorName, certificate: Type.String(), ca: Type.String(), notAfter: time }),
)

export const revokeOperatorRequest = strict(act)

export const revokeOperatorAnswer = held<RevokeOperatorAnswer>()(
  strict({ operator: operatorName, certificates: count, invitations: count, recorded: Type.Boolean() }),
)
