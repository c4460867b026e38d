import type { Enforcement } from '#protocol'
import type { Locking, Registry } from '#registry'
import { succeeds } from '../succeeds.js'

/** What has come of an act that keeps somebody out, once it is known whether it could be recorded. */
export async function enforcementOf(
  registry: Registry,
  { epoch, recorded }: Pick<Locking, 'epoch' | 'recorded'>,
): Promise<Enforcement> {
  const isRecorded = await succeeds(recorded)
  return { ...registry.locks.progress(epoch), recorded: isRecorded }
}

/** RFC 9110 §15.3.3: 202 as long as it may not act everywhere. */
export function statusOf<const Done extends number>({ outstanding }: Enforcement, done: Done): Done | 202 {
  return outstanding.length === 0 ? done : 202
}
