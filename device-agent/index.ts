export type { DeviceKey, TlsConnection, TlsTarget } from './device-key.js'
export { AgentError, type AgentErrorCode, type Refusal } from './errors.js'
export { SoftwareKey } from './software-key.js'
