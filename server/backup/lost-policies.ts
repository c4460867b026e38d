import type { AuditLog } from '#audit'
import type { Fingerprint } from '#protocol'
import type { Store } from '#store'
import { PolicyVersions } from '../policy-versions.js'

/**
 * The log says that a policy came into force, and not what it says: one from after the backup is lost. In words, what was;
 * undefined where nothing was.
 */
export async function lostPolicies(store: Store, audit: AuditLog, treeSize: number): Promise<string | undefined> {
  let policy: { readonly version: number; readonly hash: Fingerprint } | undefined
  const lost = new Set<string>()
  for await (const record of audit.records(treeSize)) {
    if (record.event === 'policy.activate') policy = { version: record.policyVersion, hash: record.policyHash }
    else if (record.event === 'pcr_policy.apply') lost.add(`PCR policy ${record.pcrPolicy}`)
    else if (record.event === 'pcr_policy.remove') lost.add(`that there is no PCR policy ${record.pcrPolicy}`)
  }
  if (policy && policy.hash !== (await hashInForce(store))) lost.add(`policy version ${policy.version}`)
  if (lost.size === 0) return undefined
  const all = [...lost].slice(0, 4).join(', ')
  return `came into force after the backup and is not in it: ${all}; apply it again, then remove the locks`
}

async function hashInForce(store: Store): Promise<Fingerprint | undefined> {
  const versions = await PolicyVersions.open(store)
  return versions.current === undefined ? undefined : versions.facts(versions.current).hash
}
