import { formatLockTarget, type InstanceId } from '#protocol'
import type { Instance } from '#registry'
import type { Life, Lineage } from './life.js'
import type { Machine } from './machine.js'
import { offline, openOn } from './service.js'

/** What is wrong with a life that has come to rest; nothing where all is well. */
export async function judge(life: Life): Promise<string | undefined> {
  for (const lineage of life.lineages) {
    const wrong = judgeLineage(life, lineage) ?? (await judgeWayBack(life, lineage))
    if (wrong !== undefined) return `${lineage.name}: ${wrong}`
  }
  return judgeReplay(life)
}

/** How many lives had what in them: nothing is shown by what did not happen. */
export function countsOf(life: Life): Readonly<Record<string, number>> {
  const {
    lineages,
    service: { records },
  } = life
  const count = (holds: boolean) => (holds ? 1 : 0)
  const has = (event: string) => count(records.some((record) => record.event === event))
  return {
    copied: count(lineages.some(({ machines }) => machines.length > 1)),
    restored: count(lineages.some(({ restored }) => restored)),
    'came back after its time': count(lineages.some((lineage) => cameBack(life, lineage))),
    'clones found': has('device.clone'),
    'in quarantine': count(records.some((record) => record.event === 'lock.add' && record.mode === 'quarantine')),
  }
}

function judgeLineage(life: Life, lineage: Lineage): string | undefined {
  const working = lineage.machines.filter((machine) => works(life, machine))
  if (working.length > 1) return `${working.length} machines work with what one was given`
  if (working.some((machine) => instanceOf(life, machine)?.clone !== undefined)) return 'goes on, and is locked'
  const [first] = lineage.machines
  const isInnocent = lineage.machines.length === 1 && !lineage.restored
  const clones = clonesOf(life, lineage)
  if (isInnocent && clones > 0) return 'is taken for a clone, and has no copy'
  const accused = lineage.machines.some(({ refusals }) => refusals.has('CLONE_SUSPECTED'))
  if (accused && clones === 0) return 'there are two copies of it, and nobody was told'
  if (isInnocent && first && !works(life, first) && !isAwayTooLong(life, first)) {
    return `is kept out (${first.refused ?? 'nothing was said'}), and is innocent`
  }
  const inQuarantine = instancesOf(life, lineage).some((instance) => isOn(life, instance))
  if (isInnocent && inQuarantine && !cameBack(life, lineage)) return 'is locked or in quarantine, and was never away'
  return undefined
}

/** Connected, with the one certificate of its line that is in use. */
function works({ service: { registry } }: Life, { isConnected, certificate }: Machine): boolean {
  if (!isConnected || certificate === undefined) return false
  const admission = registry.admit(certificate)
  return admission.admitted && admission.state === 'current'
}

/** Whether it has come to renew when a certificate of it was over: a crash may leave of that no more than the lock. */
function cameBack({ service: { records, registry } }: Life, { machines }: Lineage): boolean {
  const devices = machines.map(({ certificate }) => certificate?.deviceId)
  const instances = devices.flatMap((device) => (device && registry.device(device)?.instances) ?? [])
  const targets = instances.map((instance) => formatLockTarget({ instance }))
  let firstEnd = Infinity
  return records.some((record) => {
    if (record.event === 'lock.add') return targets.includes(record.target) && firstEnd <= record.time
    const isTheirs = 'device' in record && devices.includes(record.device)
    if (isTheirs && 'notAfter' in record) firstEnd = Math.min(firstEnd, record.notAfter ?? Infinity)
    return false
  })
}

function instanceOf({ service: { registry } }: Life, { certificate }: Machine): Instance | undefined {
  const known = certificate && registry.certificate(certificate.fingerprint)
  return known && registry.instance(known.instance)
}

/** By the terms: then, and when its token is over, it joins anew. */
function isAwayTooLong({ service: { clock } }: Life, { refused, certificate }: Machine): boolean {
  if (certificate === undefined) return refused === 'TOKEN_EXPIRED'
  const age = clock.now - certificate.notAfter.getTime()
  return refused === 'CERTIFICATE_EXPIRED' && age > offline.mostMilliseconds
}

async function judgeWayBack(life: Life, lineage: Lineage): Promise<string | undefined> {
  const [machine] = lineage.machines
  if (machine === undefined || lineage.machines.some((one) => works(life, one))) return undefined
  const before = machine.refused
  await life.joinAgain(lineage, machine)
  if (works(life, machine)) return undefined
  return `${before ?? 'nothing'}, and a new join does not help: ${machine.refused ?? 'nothing was said'}`
}

/** What the log makes of an empty store is what stands in the store. */
async function judgeReplay({ service: { records, rows, clock } }: Life): Promise<string | undefined> {
  const { store } = await openOn({ records, rows: new Map() }, clock)
  while (store.hasMore) store.sync()
  const [replayed, stored] = [readable(store.rows), readable(rows)]
  const keys = new Set([...replayed.keys(), ...stored.keys()].filter((key) => key !== 'registry/applied'))
  const other = [...keys].find((key) => !saysTheSame(replayed.get(key), stored.get(key)))
  if (other === undefined) return undefined
  return `the log makes another registry than it was: ${other} is ${replayed.get(other)} and was ${stored.get(other)}`
}

function readable(rows: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, string> {
  return new Map([...rows].map(([key, row]) => [key, Buffer.from(row).toString()]))
}

function saysTheSame(one: string | undefined, other: string | undefined): boolean {
  return one === other || (one !== undefined && other !== undefined && sorted(one) === sorted(other))
}

/** The same for rows that say the same. */
function sorted(json: string): string {
  return JSON.stringify(JSON.parse(json), (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : value,
  )
}

function clonesOf({ service: { records } }: Life, { machines }: Lineage): number {
  const devices = machines.map(({ certificate }) => certificate?.deviceId)
  return records.filter((record) => record.event === 'device.clone' && devices.includes(record.device)).length
}

function instancesOf({ service: { registry } }: Life, { machines }: Lineage): readonly InstanceId[] {
  return machines.flatMap(({ certificate }) => (certificate && registry.device(certificate.deviceId)?.instances) ?? [])
}

function isOn({ service: { registry } }: Life, instance: InstanceId): boolean {
  return registry.allLocks().some(({ target }) => 'instance' in target && target.instance === instance)
}
