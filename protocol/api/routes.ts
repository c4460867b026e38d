import type { ActName } from './acts.js'

/*
 * The operators' API: here its paths, beside it the JSON that travels on them. The server's schemas and the CLI's calls
 * are both held to these types. Times are ISO 8601 text in UTC.
 */

interface Path {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: `/v1/${string}`
}

/**
 * A route is for operators who may do its act, or for every operator because it is about nobody else (`own`), or, where
 * it says so, open to strangers. One that says nothing does not compile. `scoped`: its handler asks what the operator may
 * do the act on, or tells of no device; others are closed to those who may not do it on everything.
 */
export type Route = Path &
  ({ readonly act: ActName; readonly scoped?: true } | { readonly act: 'own' } | { readonly open: true })

export const routes = {
  joinNonce: { method: 'POST', path: '/v1/join/nonce', open: true },
  joinTerms: { method: 'POST', path: '/v1/join/terms', open: true },
  joinToken: { method: 'POST', path: '/v1/join/token', open: true },
  joinTpm: { method: 'POST', path: '/v1/join/tpm', open: true },
  joinTpmActivate: { method: 'POST', path: '/v1/join/tpm/activate', open: true },
  joinOidc: { method: 'POST', path: '/v1/join/oidc', open: true },
  renew: { method: 'POST', path: '/v1/renew', open: true },
  renewalInfo: { method: 'GET', path: '/v1/renewal-info/:id', open: true },
  discoverServices: { method: 'GET', path: '/v1/services', open: true },
  joinOperator: { method: 'POST', path: '/v1/operators/join', open: true },
  listOperators: { method: 'GET', path: '/v1/operators', act: 'operators.read' },
  ownOperator: { method: 'GET', path: '/v1/operators/me', act: 'own' },
  inviteOperator: { method: 'POST', path: '/v1/operators/invitations', act: 'operators.invite' },
  renewOperator: { method: 'POST', path: '/v1/operators/renew', act: 'own' },
  revokeOperator: { method: 'POST', path: '/v1/operators/:id/revoke', act: 'operators.revoke' },
  status: { method: 'GET', path: '/v1/status', act: 'status.read' },
  listDevices: { method: 'GET', path: '/v1/devices', act: 'devices.read', scoped: true },
  getDevice: { method: 'GET', path: '/v1/devices/:id', act: 'devices.read', scoped: true },
  registerDevice: { method: 'POST', path: '/v1/devices', act: 'devices.register', scoped: true },
  importDevices: { method: 'POST', path: '/v1/devices/import', act: 'devices.register', scoped: true },
  labelDevice: { method: 'PUT', path: '/v1/devices/:id/labels', act: 'devices.label', scoped: true },
  rotateDevices: { method: 'POST', path: '/v1/devices/rotate', act: 'devices.rotate', scoped: true },
  revokeDevice: { method: 'POST', path: '/v1/devices/:id/revoke', act: 'devices.revoke', scoped: true },
  listApprovals: { method: 'GET', path: '/v1/approvals', act: 'devices.register', scoped: true },
  approveJoin: { method: 'POST', path: '/v1/approvals/:id/approve', act: 'devices.register', scoped: true },
  denyJoin: { method: 'POST', path: '/v1/approvals/:id/deny', act: 'devices.register', scoped: true },
  listLocks: { method: 'GET', path: '/v1/locks', act: 'locks.read', scoped: true },
  addLock: { method: 'POST', path: '/v1/locks', act: 'locks.add', scoped: true },
  removeLock: { method: 'DELETE', path: '/v1/locks/:id', act: 'locks.remove', scoped: true },
  listTokens: { method: 'GET', path: '/v1/tokens', act: 'tokens.read', scoped: true },
  createToken: { method: 'POST', path: '/v1/tokens', act: 'tokens.create', scoped: true },
  revokeToken: { method: 'DELETE', path: '/v1/tokens/:id', act: 'tokens.revoke', scoped: true },
  listSessions: { method: 'GET', path: '/v1/sessions', act: 'sessions.read', scoped: true },
  kickSession: { method: 'POST', path: '/v1/sessions/:id/kick', act: 'sessions.kick', scoped: true },
  getPolicy: { method: 'GET', path: '/v1/policy', act: 'policy.read' },
  applyPolicy: { method: 'PUT', path: '/v1/policy', act: 'policy.apply' },
  listPolicyVersions: { method: 'GET', path: '/v1/policy/versions', act: 'policy.read' },
  getPolicyVersion: { method: 'GET', path: '/v1/policy/versions/:id', act: 'policy.read' },
  rollbackPolicy: { method: 'POST', path: '/v1/policy/rollback', act: 'policy.apply' },
  diffPolicy: { method: 'POST', path: '/v1/policy/diff', act: 'policy.read' },
  getPolicySchema: { method: 'GET', path: '/v1/policy/schema', act: 'policy.read' },
  suggestPolicy: { method: 'GET', path: '/v1/policy/suggestion', act: 'audit.read' },
  shadowPolicy: { method: 'POST', path: '/v1/policy/shadow', act: 'policy.apply' },
  explainPolicy: { method: 'POST', path: '/v1/policy/can', act: 'policy.read' },
  listTpmMakers: { method: 'GET', path: '/v1/attest/authorities', act: 'attest.read' },
  listPcrPolicies: { method: 'GET', path: '/v1/attest/policies', act: 'attest.read' },
  getPcrPolicy: { method: 'GET', path: '/v1/attest/policies/:id', act: 'attest.read' },
  applyPcrPolicy: { method: 'PUT', path: '/v1/attest/policies', act: 'attest.apply' },
  removePcrPolicy: { method: 'DELETE', path: '/v1/attest/policies/:id', act: 'attest.apply' },
  learnPcrs: { method: 'POST', path: '/v1/attest/learn', act: 'attest.apply' },
  getAttestation: { method: 'GET', path: '/v1/devices/:id/attestation', act: 'devices.read', scoped: true },
  searchAudit: { method: 'GET', path: '/v1/audit', act: 'audit.read', scoped: true },
  getPayload: { method: 'GET', path: '/v1/audit/payloads/:id', act: 'audit.payloads', scoped: true },
  disclosePayload: { method: 'GET', path: '/v1/audit/payloads/:id/disclosure', act: 'audit.payloads', scoped: true },
  erasePayloads: { method: 'POST', path: '/v1/audit/payloads/erase', act: 'audit.erase', scoped: true },
  auditCheckpoint: { method: 'GET', path: '/v1/audit/checkpoint', act: 'audit.read', scoped: true },
  rotateAuditKey: { method: 'POST', path: '/v1/audit/key', act: 'audit.keys' },
  takeBackup: { method: 'POST', path: '/v1/backup', act: 'backup.take' },
  auditProof: { method: 'GET', path: '/v1/audit/records/:id/proof', act: 'audit.read', scoped: true },
} as const satisfies Record<string, Route>

export type RouteName = keyof typeof routes
