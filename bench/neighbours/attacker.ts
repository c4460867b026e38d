import { attacks, type Target } from './attacks.js'

/** What this process is told: which attack, and where. */
export interface AttackOrder extends Target {
  readonly name: string
}

process.once('message', ({ name, ...target }: AttackOrder) => {
  void attacks.find((attack) => attack.name === name)?.run(target)
  process.send?.('begun')
})
process.on('disconnect', () => process.exit())
