import { join } from 'node:path'
import { AgentError } from '../errors.js'
import { parseBridgeAddress } from './address.js'
import { Bridge, type BridgeOptions } from './bridge.js'
import type { SocketRights } from './listener.js'

/** As the command line has them. */
export interface BridgeFlags {
  readonly bridge?: string
  readonly bridgeMode?: string
  readonly bridgeGroup?: string
}

export type BridgeSurroundings = Pick<BridgeOptions, 'deviceId' | 'now' | 'random' | 'log'> & {
  /** The state folder. */
  readonly data: string
}

/** The bridge that the flags ask for, if they do. @throws AgentError USAGE, BRIDGE_FAILED */
export async function bridgeFromFlags(
  flags: BridgeFlags,
  { data, ...surroundings }: BridgeSurroundings,
): Promise<Bridge | undefined> {
  if (flags.bridge === undefined) return undefined
  const address = parseBridgeAddress(flags.bridge)
  const rights = rightsOf(flags)
  return Bridge.open({ address, rights, folder: join(data, 'bridge'), ...surroundings })
}

/** By default the agent's user and group, and nobody else. */
function rightsOf({ bridgeMode = '0660', bridgeGroup }: BridgeFlags): SocketRights {
  if (!/^0?[0-7]{3}$/.test(bridgeMode)) {
    throw new AgentError(
      'USAGE',
      `--bridge-mode: expected octal digits such as 0660, got ${JSON.stringify(bridgeMode)}`,
    )
  }
  return { mode: Number.parseInt(bridgeMode, 8), ...(bridgeGroup !== undefined && { group: bridgeGroup }) }
}
