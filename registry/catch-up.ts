import type { AuditRecord, AuditTrail } from '#protocol'
import type { Store } from '#store'
import { applyEvent, isRegistryEvent } from './apply.js'
import { RegistryError } from './errors.js'
import { appliedKey, changesOf, decodeApplied, prefix, restoreRow, takeChangedRows } from './rows.js'
import { RegistryState } from './state.js'

/** Durable records of the log, from a sequence number on. */
export type Replay = (from: number) => AsyncIterable<AuditRecord>

/** The state, and the place in the log up to which the store holds it. */
interface CaughtUp {
  readonly state: RegistryState
  readonly applied: number
}

/** How many replayed events share a commit: what is waiting in memory stays bounded. */
const replayBatch = 1000

/**
 * The state at start: what the store holds, and then what the log holds beyond it (spec §5 "Order and restore").
 * @throws RegistryError REGISTRY_AHEAD_OF_LOG, REGISTRY_CORRUPT
 */
export async function catchUp(store: Store, audit: AuditTrail, replay: Replay): Promise<CaughtUp> {
  const state = new RegistryState()
  const stored = await load(store, state)
  if (stored > audit.durable) throw aheadOfLog(stored, audit.durable)

  let applied = stored
  let uncommitted = 0
  for await (const record of replay(stored + 1)) {
    applied = record.sequence
    if (!isRegistryEvent(record)) continue
    applyEvent(state, record)
    if (++uncommitted % replayBatch === 0) await commit(store, state, applied)
  }
  if (applied > stored) await commit(store, state, applied) // also where nothing changed: it need not be read again
  return { state, applied }
}

/** The sequence number up to which the stored rows have come; -1 for an empty store. */
async function load(store: Store, state: RegistryState): Promise<number> {
  const applied = await store.get(appliedKey)
  if (applied === undefined) return -1
  for await (const [key, value] of store.entries(prefix)) {
    if (key !== appliedKey) restoreRow(state, key, value)
  }
  const { sequence, epoch } = decodeApplied(applied)
  state.epoch = epoch
  return sequence
}

async function commit(store: Store, state: RegistryState, sequence: number): Promise<void> {
  await store.commit(changesOf(takeChangedRows(state), { sequence, epoch: state.epoch }))
}

function aheadOfLog(applied: number, durable: number): RegistryError {
  return new RegistryError(
    'REGISTRY_AHEAD_OF_LOG',
    `the registry holds changes up to record ${applied} and the audit log ends at ${durable}: the log was cut or put ` +
      'back from an older copy, or the two come from different installations. Nothing was started, because what the ' +
      'log does not name must not open anything. Bring back the log that belongs to this store.',
  )
}
