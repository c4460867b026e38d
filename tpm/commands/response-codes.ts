/** TPM_RC_… names of format-one codes (Part 2 §6.6.3): the ones that something here can provoke. */
const formatOne: Readonly<Record<number, string>> = {
  0x01: 'ASYMMETRIC: algorithm not supported',
  0x02: 'ATTRIBUTES: inconsistent attributes',
  0x03: 'HASH: hash algorithm not supported or not appropriate',
  0x04: 'VALUE: value out of range or not correct for the context',
  0x05: 'HIERARCHY: hierarchy not enabled or not correct for the use',
  0x07: 'KEY_SIZE: key size not supported',
  0x0a: 'TYPE: not the appropriate type',
  0x0b: 'HANDLE: the handle is not correct for the use',
  0x0e: 'AUTH_FAIL: authorization failed, and was counted towards lockout',
  0x10: 'PP: authorization needs physical presence',
  0x12: 'SCHEME: unsupported or incompatible scheme',
  0x15: 'SIZE: structure is the wrong size',
  0x16: 'SYMMETRIC: unsupported symmetric algorithm or key size',
  0x17: 'TAG: incorrect structure tag',
  0x1a: 'INSUFFICIENT: the structure is truncated',
  0x1b: 'SIGNATURE: the signature is not valid',
  0x1c: 'KEY: key fields are not compatible with the use',
  0x1d: 'POLICY_FAIL: a policy check failed',
  0x1f: 'INTEGRITY: integrity check failed; the blob is another TPM’s or was changed',
  0x20: 'TICKET: invalid ticket',
  0x22: 'BAD_AUTH: authorization failed',
  0x26: 'CURVE: curve not supported',
  0x27: 'ECC_POINT: point is not on the curve',
}

/** Errors and warnings of format zero (Part 2 §6.6.3). */
const formatZero: Readonly<Record<number, string>> = {
  0x100: 'INITIALIZE: the TPM was not started up',
  0x101: 'FAILURE: the TPM is in failure mode',
  0x120: 'DISABLED: the command is disabled',
  0x124: 'AUTH_TYPE: authorization handle is not correct for the command',
  0x125: 'AUTH_MISSING: the command needs an authorization',
  0x126: 'POLICY: policy failure',
  0x12e: 'NV_AUTHORIZATION: not authorized to read this NV index',
  0x12f: 'NV_LOCKED: the NV index is locked',
  0x143: 'COMMAND_CODE: the TPM does not know the command',
  0x144: 'COMMAND_SIZE: command size is inconsistent',
  0x14a: 'NV_UNINITIALIZED: the NV index was never written',
  0x901: 'CONTEXT_GAP: too many sessions since the context was saved',
  0x902: 'OBJECT_MEMORY: no room for another object; another program has left keys loaded',
  0x903: 'SESSION_MEMORY: no room for another session; another program has left sessions open',
  0x905: 'SESSION_HANDLES: all session handles are in use',
  0x908: 'YIELDED: the TPM interrupted the command',
  0x90a: 'TESTING: the TPM is testing itself',
  0x910: 'REFERENCE_H0: the first handle is not loaded',
  0x911: 'REFERENCE_H1: the second handle is not loaded',
  0x920: 'NV_RATE: the TPM limits how often NV is written',
  0x921: 'LOCKOUT: too many authorization failures; the TPM is in lockout',
  0x922: 'RETRY: the TPM was not able to start the command',
}

const again: ReadonlySet<number> = new Set([0x908, 0x90a, 0x920, 0x922])

/** Warnings that mean: the same command may succeed in a moment. */
export function mayBeRetried(responseCode: number): boolean {
  return again.has(responseCode)
}

/** A response code in words, with the handle, session or parameter that it is about (Part 2 §6.6.2). */
export function explainResponseCode(responseCode: number): string {
  const code = `0x${responseCode.toString(16).padStart(3, '0')}`
  if ((responseCode & 0x80) === 0) return `TPM_RC_${formatZero[responseCode] ?? 'other'} (${code})`
  const number = (responseCode >> 8) & 0xf
  const subject =
    (responseCode & 0x40) !== 0 ? `parameter ${number}` : number > 7 ? `session ${number - 8}` : `handle ${number}`
  return `TPM_RC_${formatOne[responseCode & 0x3f] ?? 'other'} (${code}, ${subject})`
}
