import type { CertificateOfOperator, OperatorName, RegistryEvent } from '#protocol'
import type { Invitation, RegistryState } from './state.js'

type OperatorEvent = Extract<RegistryEvent, { readonly event: `operator.${string}` }>

/** What one event does to the people that are known. What is over by the event's own time is forgotten. */
export function applyToOperators(state: RegistryState, event: OperatorEvent): void {
  switch (event.event) {
    case 'operator.invite': {
      const { invitation: id, secretHash, whom, ttlSeconds, notAfter, operator: by } = event
      for (const known of state.invitations.values()) if (known.notAfter <= event.at) state.invitations.delete(known.id)
      return state.invitations.set(id, { id, secretHash, whom, ttlSeconds, notAfter, by })
    }
    case 'operator.issue': {
      // One by one: a record of the log holds more than its event, and the row must not.
      const { operator, fingerprint, serial, notBefore, notAfter, certificate, invitation } = event
      if (invitation !== undefined) state.invitations.delete(invitation)
      forget(state, (known) => known.notAfter <= notBefore)
      return state.operators.set(fingerprint, { operator, fingerprint, serial, notBefore, notAfter, certificate })
    }
    case 'operator.revoke': {
      const { whom, revoked } = event
      forget(state, ({ operator, fingerprint }) => operator === whom && (revoked ?? fingerprint) === fingerprint)
      if (revoked !== undefined) return
      for (const { id } of state.invitations.values().filter(isEndedWith(whom))) state.invitations.delete(id)
    }
  }
}

/** Who is thrown out leaves no door open behind him: neither one for himself nor one that he gave to others. */
export function isEndedWith(operator: OperatorName): (invitation: Invitation) => boolean {
  return ({ whom, by }) => whom === operator || by === operator
}

function forget(state: RegistryState, isOver: (certificate: CertificateOfOperator) => boolean): void {
  for (const known of state.operators.values()) if (isOver(known)) state.operators.delete(known.fingerprint)
}
