import { type DeviceId, type LockId, type OperatorName, parseProfileName, type ProfileName } from '#protocol'
import { ourselves, type Registry } from '#registry'
import { defaultProfile } from '../profiles.js'
import { createLockId } from '../quarantine.js'

/** Who was let in, and is not any more until an operator says so. */
export interface Closed {
  /** Open join tokens that were revoked. */
  readonly tokens: number
  /** Operators who have no certificate any more, nor an invitation that he got or gave. */
  readonly operators: readonly OperatorName[]
  readonly devices: readonly DeviceId[]
  readonly locks: readonly { readonly lock: LockId; readonly profile: ProfileName }[]
  /** Why there are locks. */
  readonly reason?: string
}

export interface Doors {
  /** Devices that were revoked after the backup. */
  readonly revoked: readonly DeviceId[]
  /** That are configured, whether or not a device has one of them. */
  readonly profiles: readonly string[]
  /** Why devices are locked; without it they are not. */
  readonly reason: string | undefined
}

/**
 * What a backup lets in may have been shut, or spent, after it. So no token and no operator's certificate opens anything
 * any more, nor does a device that is named as revoked; and where it is not known who was locked or revoked, no device comes in.
 */
export async function closeDoors(registry: Registry, { revoked, profiles, reason }: Doors): Promise<Closed> {
  const devices = await revokeDevices(registry, revoked)
  const tokens = await revokeTokens(registry)
  const operators = await revokeOperators(registry)
  if (reason === undefined) return { tokens, operators, devices, locks: [] }
  const names = [defaultProfile, ...profiles.map(parseProfileName), ...registry.devices().map(({ profile }) => profile)]
  const locks = []
  for (const profile of new Set(names)) {
    const { lock, done } = registry.addLock(
      { lock: createLockId(), target: { profile }, mode: 'lock', reason },
      ourselves,
    )
    await done
    locks.push({ lock: lock.id, profile })
  }
  return { tokens, operators, devices, locks, reason }
}

/** Those that the newer log has revoked already stay as they are. */
async function revokeDevices(registry: Registry, revoked: readonly DeviceId[]): Promise<readonly DeviceId[]> {
  const open = revoked.filter((id) => registry.device(id)?.state !== 'revoked')
  for (const id of open) await registry.revokeDevice(id, { reason: 'unspecified', ...ourselves }).done
  return open
}

async function revokeTokens(registry: Registry): Promise<number> {
  const open = registry.tokens().filter(({ revoked, uses }) => !revoked && uses.spent < uses.allowed)
  for (const { id } of open) await registry.revokeToken(id, ourselves)
  return open.length
}

async function revokeOperators({ operators }: Registry): Promise<readonly OperatorName[]> {
  const invited = operators.invitations().flatMap(({ whom, by }) => [whom, by])
  const names = [...new Set([...operators.certificates().map(({ operator }) => operator), ...invited])].toSorted()
  for (const name of names) await operators.revoke(name, undefined, ourselves).done
  return names
}
