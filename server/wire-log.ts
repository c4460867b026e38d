import { hostname } from 'node:os'
import { AuditLog, createPublished, LogSearch, OutsideCheckpoints, WitnessClient } from '#audit'
import { type AuditEvent, CodedError } from '#protocol'
import { auditOrigin, CheckpointKeys } from './checkpoint-keys.js'
import { makeFolder } from './files.js'
import type { OpenRequests } from './http/open-requests.js'
import type { Wiring } from './wiring.js'

/** The audit log, and what goes along with it for as long as it is open. */
export interface OpenLog {
  readonly audit: AuditLog
  readonly checkpointKeys: CheckpointKeys
  readonly outside: OutsideCheckpoints
  readonly search: LogSearch
}

/** Opens the log, asks outside whether it is the one that was seen there, and begins it with the service's start. */
export async function openLog(wiring: Wiring, requests: OpenRequests): Promise<OpenLog> {
  const { config, now, elapsed, warn, closing, inData } = wiring
  await makeFolder(inData('keys'))
  const place = { directory: inData('audit'), origin: auditOrigin(config.trustDomain), now }
  const checkpointKeys = await CheckpointKeys.open({ folder: inData('keys'), origin: place.origin, now })
  const audit = await AuditLog.open({
    ...place,
    ...checkpointKeys.signing,
    mode: config.auditMode,
    payload: config.payload,
  })
  audit.onFailure = (problem) => warn(`audit log: ${problem}`)
  const identity = {
    ...place,
    get verifierKeys() {
      return checkpointKeys.everKnown // they change while it runs
    },
  }
  const outside = await OutsideCheckpoints.open({
    checkpoint: () => audit.checkpoint(),
    places: [
      ...config.outside.witnesses.map((witness) => new WitnessClient(witness, identity)),
      ...config.outside.publish.map((published) => createPublished(published, identity)),
    ],
    record: (event) => recordIfOpen(audit, event),
    warn,
  })
  closing.add(() => outside.end()) // after the log, whose last checkpoint it takes along
  closing.add(() => requests.ended()) // after the log, whose last records go to who follows it
  closing.add(() => audit.close())
  await outside.requireContained() // before anything is recorded: that would be a fork
  const search = new LogSearch({ directory: place.directory, durable: () => audit.durable, elapsed, warn })
  closing.add(() => search.close())
  audit.append({
    event: 'server.start',
    node: hostname(),
    version: config.version,
    runtime: `Node.js ${process.version}`,
    verifierKey: audit.verifierKey,
  })
  await checkpointKeys.retireDue(audit)
  closing.add(checkpointKeys.start(audit, warn))
  return { audit, checkpointKeys, outside, search }
}

/** What is only said in a record as well: the last look outside comes after the log's end. */
function recordIfOpen(audit: AuditLog, event: AuditEvent): void {
  try {
    audit.append(event)
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
  }
}
