import { parseJoinUri } from '#protocol'
import { adviceOn } from '../advice.js'
import { connectBroker } from '../broker.js'
import type { Clock } from '../clock.js'
import { DeviceKeys, type OpenTpm } from '../device-keys.js'
import { AgentError } from '../errors.js'
import { type IssuedGeneration, parseBroker } from '../generation.js'
import { askRenewalInfo } from '../renewal-info.js'
import { place } from '../tls.js'
import { type Check, checking, ok, warn } from './check.js'

/**
 * Whether service and broker let this device in: asked of both as this device, with its certificate. An agent that runs
 * keeps its session, because this one has a client id of its own.
 */
export async function checkStanding(
  current: IssuedGeneration,
  clock: Clock,
  openTpm: OpenTpm,
): Promise<readonly Check[]> {
  const { deviceId, joinUri, broker } = current.facts
  const keys = new DeviceKeys(openTpm)
  const key = await keys.open(current.key)
  const lets = (where: string): string => `${where} answers, is the one to trust, and lets this device in`
  try {
    return [
      await checking('service', async () => {
        const where = place(parseJoinUri(joinUri))
        try {
          await askRenewalInfo(current, key, { clock, stopped: new AbortController().signal })
          return ok(lets(where))
        } catch (error) {
          if (!(error instanceof AgentError)) throw error
          if (error.refusal?.status === 404) return warn(`${where} is older than to say whether it lets this device in`)
          throw advised(error)
        }
      }),
      await checking('broker', async () => {
        try {
          const session = await connectBroker(current, key, clock, { clientId: `${deviceId}~doctor`, clean: true })
          await session.close()
          return ok(lets(place(parseBroker(broker))))
        } catch (error) {
          throw error instanceof AgentError ? advised(error) : error
        }
      }),
    ]
  } finally {
    await key.close()
    await keys.close()
  }
}

function advised(error: AgentError): AgentError {
  const advice = adviceOn(error)
  return advice === undefined ? error : new AgentError(error.code, `${error.message}; ${advice}`, { cause: error })
}
