import { AuditError } from '../errors.js'
import { LogReader } from '../reading/reader.js'
import type { Minimum } from './minimum.js'

/**
 * The log must say itself that records below the minimum index were to go.
 * @throws AuditError AUDIT_CORRUPT, naming the first record that may not be missing
 */
export async function requireRecorded(directory: string, { index, record: sequence }: Minimum): Promise<void> {
  const reader = new LogReader(directory)
  for await (const record of reader.forward(sequence, sequence)) {
    const said = record.event === 'log.retention' ? record.minimumIndex : 0
    if (said === index) return
    const problem = `log/minimum says that records below ${index} may be gone, and record ${sequence} does not say so`
    throw new AuditError('AUDIT_CORRUPT', problem, { sequence: Math.min(said, index) })
  }
}
