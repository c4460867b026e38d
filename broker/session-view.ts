import type { Refusal, SessionView } from '#protocol'
import type { LastRefusal, Link, Session } from './session.js'
import { versionOf } from './wire/packet.js'

/** A session as operators see it. */
export function viewSession(session: Session, now: number): SessionView {
  const { link, lastRefusal } = session
  return {
    session: session.name,
    device: session.device,
    clientId: session.clientId,
    connected: link !== undefined,
    since: new Date(session.since).toISOString(),
    ...(link ? viewLink(link, now) : away),
    subscriptions: [...session.subscriptions.values()].map(({ name: filter, qos }) => ({ filter, qos })),
    queued: session.pending,
    queuedBytes: session.queue.bytes,
    ...(lastRefusal && { lastRefusal: viewRefusal(lastRefusal) }),
  }
}

function viewLink({ peer, level, over: transport, traffic }: Link, now: number) {
  const { messages, bytes } = traffic
  return { peer, protocol: versionOf(level), transport, rates: traffic.rates(now), messages, bytes }
}

const nothing = { in: 0, out: 0 }
const away = { peer: '', rates: nothing, messages: nothing, bytes: nothing }

function viewRefusal({ at, ...what }: LastRefusal): Refusal {
  return { at: new Date(at).toISOString(), ...what }
}
