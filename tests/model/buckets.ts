import { millisecondsOf, type NamedRule } from './reference.js'

interface Bucket {
  readonly tokens: number
  /** In milliseconds since 1970. */
  readonly at: number
}

/** How often each device may still say something by each rule: `burst` at once, and `messages` more in each `per`. */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>()

  mayPay(device: string, rule: NamedRule, at: number): boolean {
    return this.#tokens(device, rule, at) >= 1
  }

  pay(device: string, rule: NamedRule, at: number): void {
    if (rule.rate) this.#buckets.set(`${device} ${rule.name}`, { tokens: this.#tokens(device, rule, at) - 1, at })
  }

  #tokens(device: string, { name, rate }: NamedRule, at: number): number {
    if (!rate) return Infinity
    const { burst, messages, per } = rate
    const last = this.#buckets.get(`${device} ${name}`) ?? { tokens: burst, at }
    return Math.min(burst, last.tokens + ((at - last.at) * messages) / millisecondsOf(per))
  }
}
