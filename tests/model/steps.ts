import { pick, type Random } from './policies.js'

/** How often each step is taken, in so many of all. */
const weights = {
  connect: 20,
  cut: 2,
  leave: 1,
  subscribe: 14,
  unsubscribe: 1,
  publish: 70,
  answer: 35,
  policy: 3,
  label: 3,
  lock: 3,
  unlock: 4,
  revoke: 0.2,
  renew: 3,
  rejoin: 2,
  wait: 5,
  slow: 4,
  turn: 25,
  settle: 8,
  restart: 0.5,
} as const

export type StepName = keyof typeof weights

/** One step of a life. All chance in it is its own, so that it stays what it is when others are left out. */
export interface Step {
  readonly take: StepName
  readonly seed: number
}

export function randomSteps(random: Random, count: number): readonly Step[] {
  return Array.from({ length: count }, () => ({ take: pick(bag, random), seed: random(2 ** 31) }))
}

export function tell(steps: readonly Step[]): string {
  return JSON.stringify(steps.map(({ take, seed }) => [take, seed]))
}

const names = Object.keys(weights).filter((name): name is StepName => Object.hasOwn(weights, name))
/** Each as often as its weight says. */
const bag = names.flatMap((name) => new Array<StepName>(weights[name] * 10).fill(name))
