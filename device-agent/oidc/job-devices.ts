import { join } from 'node:path'
import { createCsr } from '#x509'
import { nodeDisk } from '../disk.js'
import type { Generation, IssuedGeneration } from '../generation.js'
import { createSoftwareKeyFile } from '../key-file.js'
import { AgentError } from '../errors.js'
import { SoftwareKey } from '../software-key.js'
import { StateFolder } from '../state-folder.js'

/** One of a job's devices: a state folder like any other, which the other commands work in. */
export interface SimulatedDevice {
  readonly state: StateFolder
  readonly generation: Generation
  readonly key: SoftwareKey
  /** What it has already, and can still use. */
  readonly issued?: IssuedGeneration
}

/**
 * The devices in the folders 0, 1, 2 … of a folder, with the keys that were made at the first try: the service gives the
 * same keys the same devices again.
 */
export async function openSimulatedDevices(
  folder: string,
  count: number,
  now: number,
): Promise<readonly SimulatedDevice[]> {
  const devices: SimulatedDevice[] = []
  for (let number = 0; number < count; number++) devices.push(await openDevice(join(folder, String(number)), now))
  return devices
}

async function openDevice(folder: string, now: number): Promise<SimulatedDevice> {
  const state = new StateFolder(folder, nodeDisk)
  await state.repair()
  const current = await state.current()
  if (current !== undefined && current.facts.notAfter.getTime() > now) {
    return { state, generation: current, key: softwareKey(current), issued: current }
  }
  const isUsable = async ({ kind }: Generation['key']): Promise<boolean> => kind === 'software'
  const generation = await state.requestKey(isUsable, async () => createSoftwareKeyFile())
  return { state, generation, key: softwareKey(generation) }
}

export function csrOf({ key }: SimulatedDevice): Promise<Uint8Array> {
  return createCsr({ spki: key.spki, sign: (data) => key.sign(data) })
}

function softwareKey({ key, folder }: Generation): SoftwareKey {
  if (key.kind === 'software') return SoftwareKey.fromPem(key.pem)
  throw new AgentError('STATE_INVALID', `${folder} holds a key of a TPM, and is no simulated device`)
}
