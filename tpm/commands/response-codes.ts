/** TPM_RC_… names of format-one codes (Part 2 §6.6.3, from RC_FMT1 on). */
const formatOne: Readonly<Record<number, string>> = {
  0x01: 'ASYMMETRIC: algorithm not supported',
  0x02: 'ATTRIBUTES: inconsistent attributes',
  0x03: 'HASH: hash algorithm not supported or not appropriate',
  0x04: 'VALUE: value out of range or not correct for the context',
  0x05: 'HIERARCHY: hierarchy not enabled or not correct for the use',
  0x07: 'KEY_SIZE: key size not supported',
  0x08: 'MGF: mask generation function not supported',
  0x09: 'MODE: mode of operation not supported',
  0x0a: 'TYPE: not the appropriate type',
  0x0b: 'HANDLE: the handle is not correct for the use',
  0x0c: 'KDF: key derivation function not supported or not appropriate',
  0x0d: 'RANGE: value out of the allowed range',
  0x0e: 'AUTH_FAIL: authorization failed, and was counted towards lockout',
  0x0f: 'NONCE: invalid nonce size or value',
  0x10: 'PP: authorization needs physical presence',
  0x12: 'SCHEME: unsupported or incompatible scheme',
  0x15: 'SIZE: structure is the wrong size',
  0x16: 'SYMMETRIC: unsupported symmetric algorithm or key size',
  0x17: 'TAG: incorrect structure tag',
  0x18: 'SELECTOR: a union is of a kind that cannot stand there',
  0x1a: 'INSUFFICIENT: the structure is truncated',
  0x1b: 'SIGNATURE: the signature is not valid',
  0x1c: 'KEY: key fields are not compatible with the use',
  0x1d: 'POLICY_FAIL: a policy check failed',
  0x1f: 'INTEGRITY: integrity check failed; the blob is another TPM’s or was changed',
  0x20: 'TICKET: invalid ticket',
  0x21: 'RESERVED_BITS: bits are set that must not be',
  0x22: 'BAD_AUTH: authorization failed',
  0x23: 'EXPIRED: the policy has expired',
  0x24: 'POLICY_CC: the policy is for another command',
  0x25: 'BINDING: public and private half do not belong together',
  0x26: 'CURVE: curve not supported',
  0x27: 'ECC_POINT: point is not on the curve',
}

/** Errors and warnings of format zero (Part 2 §6.6.3, from RC_VER1 and from RC_WARN on). */
const formatZero: Readonly<Record<number, string>> = {
  0x01e: 'BAD_TAG: this TPM speaks version 1.2 only',
  0x100: 'INITIALIZE: the TPM was not started up',
  0x101: 'FAILURE: the TPM is in failure mode',
  0x103: 'SEQUENCE: improper use of a sequence',
  0x119: 'HMAC: not for this use',
  0x120: 'DISABLED: the command is disabled',
  0x121: 'EXCLUSIVE: an audit session was interrupted',
  0x124: 'AUTH_TYPE: authorization handle is not correct for the command',
  0x125: 'AUTH_MISSING: the command needs an authorization',
  0x126: 'POLICY: policy failure',
  0x127: 'PCR: PCR check failed',
  0x128: 'PCR_CHANGED: PCRs have changed since they were checked',
  0x12d: 'UPGRADE: the TPM is in field upgrade mode',
  0x12e: 'TOO_MANY_CONTEXTS: the counter of saved contexts is at its end',
  0x12f: 'AUTH_UNAVAILABLE: the entity cannot be used by its authorization value',
  0x130: 'REBOOT: the TPM needs a reset before it goes on',
  0x131: 'UNBALANCED: the protection algorithms are of unequal strength',
  0x142: 'COMMAND_SIZE: command size is inconsistent',
  0x143: 'COMMAND_CODE: the TPM does not know the command',
  0x144: 'AUTHSIZE: the authorization area is of the wrong size',
  0x145: 'AUTH_CONTEXT: this command takes no session',
  0x146: 'NV_RANGE: outside of the NV index',
  0x147: 'NV_SIZE: more than an NV index can hold',
  0x148: 'NV_LOCKED: the NV index is locked',
  0x149: 'NV_AUTHORIZATION: not authorized for this NV index',
  0x14a: 'NV_UNINITIALIZED: the NV index was never written',
  0x14b: 'NV_SPACE: no room in NV',
  0x14c: 'NV_DEFINED: the NV index exists already',
  0x150: 'BAD_CONTEXT: the saved context is not valid',
  0x151: 'CPHASH: the policy is for other parameters',
  0x152: 'PARENT: the parent cannot be one',
  0x153: 'NEEDS_TEST: something was not tested yet',
  0x154: 'NO_RESULT: there is no result',
  0x155: 'SENSITIVE: the private half cannot be read',
  0x901: 'CONTEXT_GAP: too many sessions since the oldest context was saved',
  0x902: 'OBJECT_MEMORY: no room for another object',
  0x903: 'SESSION_MEMORY: no room for another session',
  0x904: 'MEMORY: out of memory',
  0x905: 'SESSION_HANDLES: all session handles are in use',
  0x906: 'OBJECT_HANDLES: all object handles are in use',
  0x907: 'LOCALITY: not from this locality',
  0x908: 'YIELDED: the TPM interrupted the command',
  0x909: 'CANCELED: the command was canceled',
  0x90a: 'TESTING: the TPM is testing itself',
  ...numbered(0x910, 'REFERENCE_H', (number) => `handle ${number} is not loaded`),
  ...numbered(0x918, 'REFERENCE_S', (number) => `session ${number} is not loaded`),
  0x920: 'NV_RATE: the TPM limits how often NV is written',
  0x921: 'LOCKOUT: too many authorization failures; the TPM is in lockout',
  0x922: 'RETRY: the TPM was not able to start the command',
  0x923: 'NV_UNAVAILABLE: NV cannot be written now',
}

/**
 * A response code in words (Part 2 §6.6): format one with the handle, session or parameter that it is about, format
 * zero as what it is; the upper half says which layer above the TPM has answered in its place.
 */
export function explainResponseCode(responseCode: number): string {
  const code = `0x${responseCode.toString(16).padStart(3, '0')}`
  const layer = responseCode >>> 16 === 0 ? '' : ', from a resource manager'
  const low = responseCode & 0xffff
  if ((low & 0x80) === 0) return `TPM_RC_${formatZero[low] ?? otherFormatZero(low)} (${code}${layer})`
  const number = (low >> 8) & 0xf
  const subject = (low & 0x40) !== 0 ? `parameter ${number}` : number > 7 ? `session ${number - 8}` : `handle ${number}`
  return `TPM_RC_${formatOne[low & 0x3f] ?? 'other'} (${code}, ${subject}${layer})`
}

/** Part 2 §6.6.2: bit 10 marks what is the manufacturer's own, bit 11 a warning. */
function otherFormatZero(code: number): string {
  if ((code & 0x400) !== 0) return 'vendor: a code of the manufacturer’s own'
  return (code & 0x800) !== 0 ? 'other warning' : 'other'
}

/** Seven codes in a row, counted from zero in their name and from one in words, as format one does. */
function numbered(first: number, name: string, inWords: (number: number) => string): Record<number, string> {
  return Object.fromEntries(
    Array.from({ length: 7 }, (_, index) => [first + index, `${name}${index}: ${inWords(index + 1)}`]),
  )
}
