import type { Broker } from '#broker'
import type { Registry } from '#registry'

/** How many enrollments were locked since the start because there are two copies of them. */
export function countClones(registry: Pick<Registry, 'onChange'>): () => number {
  let count = 0
  registry.onChange(({ kind }) => void (kind === 'cloned' && count++))
  return () => count
}

/**
 * Has the broker hold live sessions to each change of what the registry knows of their device. Who is kept out reaches it
 * by another way, see {@link followLocks}.
 */
export function followRegistry(
  broker: Pick<Broker, 'rightsChanged' | 'certificatesChanged'>,
  registry: Pick<Registry, 'onChange'>,
): void {
  registry.onChange(({ kind, device }) => {
    switch (kind) {
      case 'labels':
        return broker.rightsChanged(device)
      case 'promoted':
        broker.certificatesChanged(device)
        return broker.rightsChanged(device) // of another tier it may have fewer
      case 'revoked':
      case 'cloned':
      case 'reported':
      case 'forgotten':
        return undefined
    }
  })
}
