import type { DeviceId, PolicyChange } from '#protocol'
import { generalise } from '../generalise.js'
import type { Pair } from './shadow.js'

/** Kinds of changes told apart; what comes on top is in the totals alone. */
const maxKinds = 1000
/** Of those, how many an answer tells. */
const maxTold = 100

/** One thing that one policy allows and the other refuses. */
export type Change = Pick<PolicyChange, 'effect' | 'of' | 'action' | 'partly'> & {
  readonly topic: string
  readonly count: number
  /** What was answered and because of what, as far as it tells kinds apart. */
  readonly between: string
  /** Asked for the first of a kind only. */
  readonly verdicts: () => Pick<PolicyChange, 'now' | 'then'>
}

interface Kind {
  readonly first: Omit<PolicyChange, 'count' | 'devices'>
  readonly devices: Set<DeviceId>
  count: number
}

/** Changes alike as one, and which devices gain and lose by all of them. */
export class ChangeList {
  readonly gaining = new Set<DeviceId>()
  readonly losing = new Set<DeviceId>()
  readonly #kinds = new Map<string, Kind>()
  #untold = 0

  add({ device, roles }: Pair, change: Change): void {
    const { effect, of, action, partly, count, between } = change
    const devices = effect === 'gain' ? this.gaining : this.losing
    devices.add(device.id)
    const topic = generalise(change.topic, device)
    const key = JSON.stringify([effect, of, action, partly, topic, roles, between])
    let kind = this.#kinds.get(key)
    if (kind === undefined) {
      if (this.#kinds.size >= maxKinds) {
        this.#untold++
        return
      }
      const example = { device: device.id, topic: change.topic }
      kind = {
        first: { effect, of, action, partly, topic, roles, example, ...change.verdicts() },
        devices: new Set(),
        count: 0,
      }
      this.#kinds.set(key, kind)
    }
    kind.count += count
    kind.devices.add(device.id)
  }

  /** At least so many: above a thousand, those that could not be told apart count each. */
  get inAll(): number {
    return this.#kinds.size + this.#untold
  }

  /** Losses first, then by how often. */
  get told(): readonly PolicyChange[] {
    return [...this.#kinds.values()]
      .map(({ first, count, devices }): PolicyChange => ({ ...first, count, devices: devices.size }))
      .sort((one, other) => rank(one) - rank(other) || other.count - one.count)
      .slice(0, maxTold)
  }
}

function rank({ effect }: PolicyChange): number {
  return effect === 'lose' ? 0 : 1
}
