import type { EkTemplateName } from '#tpm'
import type { JoinUri } from '#protocol'
import type { Clock } from '../clock.js'
import { enroll, type JoinMethod } from '../enroll.js'
import { AgentError } from '../errors.js'
import type { IssuedGeneration } from '../generation.js'
import type { ProofOptions } from '../key-file.js'
import { reportedFacts } from '../reported-facts.js'
import type { Settings } from '../settings/settings.js'
import type { StateFolder } from '../state-folder.js'
import type { Surroundings } from '../surroundings.js'
import { tokenJoin } from '../token-join.js'
import type { Orders } from './orders.js'
import { parsePcrs } from './pcr-list.js'

/** What the command line says of how a TPM is to prove itself; the settings say what it leaves open. */
export interface ProofFlags {
  readonly pcrs?: string
  readonly eventLog?: string
  readonly ek?: EkTemplateName
  readonly binding?: 'exporter' | 'nonce'
}

export interface Joining {
  readonly uri: JoinUri
  readonly orders: Orders
  readonly flags: ProofFlags
  readonly settings: Settings
  readonly state: StateFolder
  readonly clock: Clock
}

/**
 * One join as it was ordered. The token is gone from where it lay once the certificate is on disk: until then the join
 * may have to be repeated, with the same key and so for the same certificate. @throws AgentError, TpmError
 */
export async function joinAsOrdered(joining: Joining, surroundings: Surroundings): Promise<IssuedGeneration> {
  const { uri, orders, state, clock } = joining
  const generation = await byMethod(joining, surroundings, (method) => enroll({ uri, method, state, clock }))
  await forgetToken(orders, surroundings)
  return generation
}

/** Once, however often the join is tried. */
export function sayRemarks({ remarks }: Orders, { err }: Pick<Surroundings, 'err'>): void {
  for (const remark of remarks) err(`touchmark-agent: ${remark}`)
}

/** Says what it could not take away, and goes on: a token that has served opens nothing more, as a rule. */
export async function forgetToken({ token }: Orders, { err }: Pick<Surroundings, 'err'>): Promise<void> {
  for (const left of (await token?.forget()) ?? []) err(`touchmark-agent: ${left}`)
}

/** Runs one join by the method that the orders ask for, and lets go of the TPM afterwards. */
async function byMethod<T>(
  joining: Joining,
  surroundings: Surroundings,
  join: (method: JoinMethod) => Promise<T>,
): Promise<T> {
  const { tpm: spec } = joining.orders
  const token = joining.orders.token?.text
  const reported = await reportedFacts({ version: surroundings.version, own: joining.settings.facts })
  if (spec !== undefined) {
    const ek = joining.flags.ek ?? joining.settings.ek
    const [{ tpmJoin }, { loadAddon }] = await Promise.all([import('../tpm-join.js'), import('../tpm-key-addon.js')])
    loadAddon() // a join without it would end in an identity that cannot connect
    const tpm = await surroundings.openTpm(spec)
    try {
      const optional = { ...(token !== undefined && { token }), ...(ek !== undefined && { ek }) }
      return await join(tpmJoin({ tpm, spec, proof: proofOf(joining), reported, ...optional }))
    } finally {
      await tpm.close()
    }
  }
  if (token !== undefined) return join(tokenJoin(token, reported))
  const also = joining.orders.remarks.map((remark) => `; ${remark}`).join('')
  throw new AgentError('USAGE', `expected a proof to join with: --token, --token-file or --tpm${also}`)
}

/** What is not given is left out, so that a retry finds the key that was made for just this. */
function proofOf({ flags, settings }: Joining): ProofOptions {
  const pcrs = flags.pcrs === undefined ? settings.pcrs : parsePcrs(flags.pcrs)
  const eventLog = flags.eventLog ?? settings.eventLog
  return {
    binding: flags.binding ?? settings.binding ?? 'exporter',
    ...(pcrs !== undefined && { pcrs }),
    ...(eventLog !== undefined && { eventLog }),
  }
}
