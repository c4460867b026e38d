/*
 * The operators' API: here its paths, beside it the JSON that travels on them. The server's schemas and the CLI's calls
 * are both held to these types. Times are ISO 8601 text in UTC.
 */

export const routes = {
  joinNonce: { method: 'POST', path: '/v1/join/nonce' },
  joinToken: { method: 'POST', path: '/v1/join/token' },
  joinTpm: { method: 'POST', path: '/v1/join/tpm' },
  joinTpmActivate: { method: 'POST', path: '/v1/join/tpm/activate' },
  renew: { method: 'POST', path: '/v1/renew' },
  status: { method: 'GET', path: '/v1/status' },
  listDevices: { method: 'GET', path: '/v1/devices' },
  getDevice: { method: 'GET', path: '/v1/devices/:id' },
  registerDevice: { method: 'POST', path: '/v1/devices' },
  labelDevice: { method: 'PUT', path: '/v1/devices/:id/labels' },
  revokeDevice: { method: 'POST', path: '/v1/devices/:id/revoke' },
  listLocks: { method: 'GET', path: '/v1/locks' },
  addLock: { method: 'POST', path: '/v1/locks' },
  removeLock: { method: 'DELETE', path: '/v1/locks/:id' },
  listTokens: { method: 'GET', path: '/v1/tokens' },
  createToken: { method: 'POST', path: '/v1/tokens' },
  revokeToken: { method: 'DELETE', path: '/v1/tokens/:id' },
  listSessions: { method: 'GET', path: '/v1/sessions' },
  kickSession: { method: 'POST', path: '/v1/sessions/:id/kick' },
  getPolicy: { method: 'GET', path: '/v1/policy' },
  applyPolicy: { method: 'PUT', path: '/v1/policy' },
  getPolicySchema: { method: 'GET', path: '/v1/policy/schema' },
  explainPolicy: { method: 'POST', path: '/v1/policy/can' },
  searchAudit: { method: 'GET', path: '/v1/audit' },
  getPayload: { method: 'GET', path: '/v1/audit/payloads/:id' },
  disclosePayload: { method: 'GET', path: '/v1/audit/payloads/:id/disclosure' },
  erasePayloads: { method: 'POST', path: '/v1/audit/payloads/erase' },
  auditCheckpoint: { method: 'GET', path: '/v1/audit/checkpoint' },
  rotateAuditKey: { method: 'POST', path: '/v1/audit/key' },
  auditProof: { method: 'GET', path: '/v1/audit/records/:id/proof' },
} as const satisfies Record<
  string,
  { readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'; readonly path: `/v1/${string}` }
>

export type RouteName = keyof typeof routes
