import { join } from 'node:path'
import { decodeJson, integer, list, object, optional, ProtocolError, text, word } from '#protocol'
import type { Disk } from './disk.js'
import type { IssuedGeneration } from './generation.js'

/** What the agent is doing, for people and for watchers: `status.json` in the state folder, replaced as a whole. */
export type AgentStatus = ReturnType<typeof decodeStatus>

const time = text(32)

/** Times are ISO 8601. */
const decodeStatus = object({
  /** `enrolled`: has a certificate and no agent runs. `waiting`: lost or refused, and will try again. */
  state: word('enrolled', 'connecting', 'connected', 'waiting', 'stopped'),
  updatedAt: time,
  deviceId: text(64),
  generation: integer(1, 1e9),
  keyKind: word('software', 'tpm'),
  certificate: object({ notBefore: time, notAfter: time }),
  /** When the service wants to be asked for the next certificate, and when the agent will ask. */
  renewal: object({ start: time, end: time, next: optional(time) }),
  broker: text(512),
  connectedSince: optional(time),
  /** `advice`: what is to be done, where waiting alone may not help. */
  lastError: optional(object({ code: text(64), message: text(4096), advice: optional(text(1024)), at: time })),
  /** What other programs did not get of this certificate, or were not told. */
  problems: optional(list(text(4096), 32)),
})

const fileName = 'status.json'

export async function writeStatus(folder: string, status: AgentStatus, disk: Disk): Promise<void> {
  await disk.write(join(folder, fileName), `${JSON.stringify(status, undefined, 2)}\n`)
}

/** As the last agent left it; undefined where none ever wrote one, or something else did. */
export async function readStatus(folder: string, disk: Disk): Promise<AgentStatus | undefined> {
  const content = await disk.read(join(folder, fileName))
  if (content === undefined) return undefined
  try {
    return decodeJson(content, decodeStatus, fileName)
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

/** The part that the generation in use decides. */
export function generationStatus(
  generation: IssuedGeneration,
): Pick<AgentStatus, 'deviceId' | 'generation' | 'keyKind' | 'certificate' | 'renewal' | 'broker'> {
  const { deviceId, keyKind, notBefore, notAfter, renewal, broker } = generation.facts
  return {
    deviceId,
    generation: generation.number,
    keyKind,
    certificate: { notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString() },
    renewal: { start: renewal.start.toISOString(), end: renewal.end.toISOString() },
    broker,
  }
}
