/** What can narrow an act: devices with certain labels only, or so many devices at once. */
export type ActLimit = 'labels' | 'maxDevices'

/** Everything that a policy can let an operator do, with what can narrow it. Whoever may do an act may call its routes. */
export const acts = {
  'status.read': [],
  'devices.read': ['labels'],
  'devices.register': ['labels'],
  'devices.label': ['labels'],
  'devices.revoke': ['labels'],
  'devices.rotate': ['labels', 'maxDevices'],
  'locks.read': ['labels'],
  'locks.add': ['labels', 'maxDevices'],
  'locks.remove': ['labels', 'maxDevices'],
  'tokens.read': ['labels'],
  'tokens.create': ['labels', 'maxDevices'],
  'tokens.revoke': ['labels'],
  'sessions.read': ['labels'],
  'sessions.kick': ['labels'],
  'policy.read': [],
  'policy.apply': [],
  'attest.read': [],
  'attest.apply': [],
  'audit.read': ['labels'],
  'audit.payloads': ['labels'],
  'audit.erase': ['labels'],
  'audit.keys': [],
  'backup.take': [],
  'operators.read': [],
  'operators.invite': [],
  'operators.revoke': [],
} as const satisfies Readonly<Record<string, readonly ActLimit[]>>

export type ActName = keyof typeof acts

export const actNames = Object.keys(acts).filter(isActName)

export function isActName(text: string): text is ActName {
  return Object.hasOwn(acts, text)
}

/** Whether a limit means something for an act. */
export function isLimitedBy(act: ActName, limit: ActLimit): boolean {
  const limits: readonly ActLimit[] = acts[act]
  return limits.includes(limit)
}
