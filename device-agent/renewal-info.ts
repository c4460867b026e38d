import { decodeRenewalInfo, routes } from '#protocol'
import { certificateId, decodePem } from '#x509'
import type { Clock } from './clock.js'
import type { DeviceKey } from './device-key.js'
import { AgentError } from './errors.js'
import type { IssuedGeneration } from './generation.js'
import { openOwnService } from './own-service.js'
import type { RenewalWindow } from './renewal-schedule.js'
import type { ServiceLimits } from './service.js'

/** What the service says of the certificate in use. */
export interface RenewalInfo {
  /** When it is to be renewed. */
  readonly window: RenewalWindow
  /** When to ask again. */
  readonly retryAfterSeconds?: number
}

export interface Asking {
  readonly clock: Clock
  /** Ends a question that nobody answers. */
  readonly stopped: AbortSignal
  readonly limits?: ServiceLimits
}

/** Asks with the certificate in use (RFC 9773 §4). @throws AgentError, X509Error */
export async function askRenewalInfo(current: IssuedGeneration, key: DeviceKey, asking: Asking): Promise<RenewalInfo> {
  const [leaf] = decodePem(current.certificateChain, 'CERTIFICATE')
  if (leaf === undefined) throw new AgentError('STATE_INVALID', 'the generation in use holds no certificate')
  const { method, path } = routes.renewalInfo
  const { service } = await openOwnService(current, key, asking)
  const close = (): void => service.close()
  asking.stopped.addEventListener('abort', close)
  if (asking.stopped.aborted) close()
  try {
    const { answer, ...when } = await service.ask(
      { method, path: path.replace(':id', certificateId(leaf)) },
      decodeRenewalInfo,
    )
    return { window: answer.suggestedWindow, ...when }
  } finally {
    asking.stopped.removeEventListener('abort', close)
    close()
  }
}
