import type { CurveName } from './structures/algorithms.js'
import { attributesWith } from './structures/attributes.js'
import type { TpmPublic } from './structures/public-area.js'
import type { EkTemplateName } from './tpm.js'

/** A way to make the same EK again at any time (TCG EK Credential Profile 2.5 §B), and where its certificate lies. */
export interface EkTemplate {
  readonly name: EkTemplateName
  readonly nvIndex: number
  readonly public: TpmPublic
}

/** NV indices in which manufacturers leave the certificates above the EK's (TCG EK Credential Profile §2.2.1.5). */
export const ekChainIndices = { first: 0x01c00100, last: 0x01c001ff } as const

/** PolicySecret(TPM_RH_ENDORSEMENT) (§B.6.2). */
const policyA = hex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa')
/** PolicyOR of policy A and one that the platform may set (§B.6.5). */
const policyB256 = hex('ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0')
const policyB384 = hex(
  'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
)
const none = new Uint8Array(0)

const lowEk = {
  nameAlg: 'sha256',
  attributes: attributesWith(
    'fixedTPM',
    'fixedParent',
    'sensitiveDataOrigin',
    'adminWithPolicy',
    'restricted',
    'decrypt',
  ),
  authPolicy: policyA,
  symmetricBits: 128,
} as const

const highEk = { ...lowEk, attributes: { ...lowEk.attributes, userWithAuth: true }, authPolicy: policyB256 }
const highEk384 = { ...highEk, nameAlg: 'sha384', authPolicy: policyB384, symmetricBits: 256 } as const

/**
 * Those of the profile that we know, which are also those that the service takes. Best first; of two with one name, the
 * one in the low range first, which is the older and more common.
 */
export const ekTemplates: readonly EkTemplate[] = [
  { name: 'ecc-p384', nvIndex: 0x01c00016, public: { ...highEk384, ...ecc('P-384') } }, // H-3
  { name: 'ecc-p256', nvIndex: 0x01c0000a, public: { ...lowEk, ...ecc('P-256', new Uint8Array(32)) } }, // L-2
  { name: 'ecc-p256', nvIndex: 0x01c00014, public: { ...highEk, ...ecc('P-256') } }, // H-2
  { name: 'rsa-3072', nvIndex: 0x01c0001c, public: { ...highEk384, ...rsa(3072) } }, // H-6
  { name: 'rsa-2048', nvIndex: 0x01c00002, public: { ...lowEk, ...rsa(2048, new Uint8Array(256)) } }, // L-1
  { name: 'rsa-2048', nvIndex: 0x01c00012, public: { ...highEk, ...rsa(2048) } }, // H-1
]

/** The storage root key, parent of what is created here (TCG TPM 2.0 Provisioning Guidance §7.5.1). */
export const storageRootKey: TpmPublic = {
  ...ecc('P-256', new Uint8Array(32)),
  nameAlg: 'sha256',
  attributes: attributesWith(
    'fixedTPM',
    'fixedParent',
    'sensitiveDataOrigin',
    'userWithAuth',
    'noDA',
    'restricted',
    'decrypt',
  ),
  authPolicy: none,
  symmetricBits: 128,
}

/** Restricted: it signs only what the TPM itself has made, so its signature is the TPM's word. */
export const attestationKey: TpmPublic = {
  ...ecc('P-256'),
  nameAlg: 'sha256',
  attributes: attributesWith(
    'fixedTPM',
    'fixedParent',
    'sensitiveDataOrigin',
    'userWithAuth',
    'noDA',
    'restricted',
    'sign',
  ),
  authPolicy: none,
  scheme: { name: 'ecdsa', hash: 'sha256' },
}

/** Signs whatever it is given: the TLS handshake, and the CSR. */
export const signingKey: TpmPublic = {
  ...attestationKey,
  attributes: { ...attestationKey.attributes, restricted: false },
}

/** `unique` is what the standard's template holds in place of a point; it is hashed into the key that comes out. */
function ecc(curve: CurveName, unique: Uint8Array = none) {
  return { type: 'ecc', curve, x: unique, y: unique } as const
}

function rsa(keyBits: 2048 | 3072, unique: Uint8Array = none) {
  return { type: 'rsa', keyBits, exponent: 0, modulus: unique } as const
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}
