const untrusted =
  /^(ERR_TLS_CERT_ALTNAME_INVALID|CERT_|SELF_SIGNED|DEPTH_ZERO_|UNABLE_TO_(VERIFY|GET_ISSUER)|ERR_SSL_WRONG_VERSION)/

/** Whether a connection failed because the other end is not who was expected there; the reason as Node.js codes it. */
export function isUntrusted(reason: string): boolean {
  return untrusted.test(reason)
}

/** The code that Node.js gives an error, which says more than its message; else the message. */
export function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
}
