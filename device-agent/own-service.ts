import { type JoinUri, parseJoinUri } from '#protocol'
import type { Clock } from './clock.js'
import type { DeviceKey } from './device-key.js'
import type { IssuedGeneration } from './generation.js'
import { ServiceConnection, type ServiceLimits } from './service.js'
import { type Trust, trustIn, verifyServer } from './trust.js'

/** The service that issued a generation, over a connection on which its certificate was shown. */
export interface OwnService {
  readonly service: ServiceConnection
  readonly uri: JoinUri
  readonly trust: Trust
}

/** @throws AgentError */
export async function openOwnService(
  { facts, certificateChain, trustBundle }: IssuedGeneration,
  key: DeviceKey,
  { clock, limits }: { readonly clock: Clock; readonly limits?: ServiceLimits },
): Promise<OwnService> {
  const uri = parseJoinUri(facts.joinUri)
  const trust = trustIn(trustBundle)
  const verify = (chain: readonly Uint8Array[]): Promise<void> => verifyServer(chain, uri, trust, clock)
  const target = { host: uri.host, port: uri.port, ca: [], certificateChain, verify }
  return { service: new ServiceConnection(await key.connect(target), uri, limits), uri, trust }
}
