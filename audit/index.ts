export { AuditError, type AuditErrorCode } from './errors.js'
export { createMemoryAudit, type MemoryAudit } from './memory.js'
