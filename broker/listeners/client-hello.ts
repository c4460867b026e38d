const handshake = 22
const headerBytes = 5

/** A real one has a tenth of it, or half with a key share for the time after quantum computers. */
const mostBytes = 4096

/**
 * Waits for a whole first record of TLS (RFC 8446 §5.1), which holds the ClientHello, and takes nothing of it. What TLS
 * keeps for a connection is ten times what its socket does, and only for those who have said what they want.
 */
export function untilClientHello(received: Buffer): number | undefined {
  if (received[0] !== handshake) return 0 // let TLS say what it thinks of that
  if (received.length < headerBytes) return undefined
  const wholeBytes = headerBytes + received.readUInt16BE(3)
  return received.length < Math.min(wholeBytes, mostBytes) ? undefined : 0
}
