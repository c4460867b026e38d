import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '#protocol'
import type { TlsConnection } from './device-key.js'
import { AgentError } from './errors.js'
import { openTls } from './tls.js'
import { loadAddon } from './tpm-key-addon.js'
import {
  type FromAgent,
  type FromThread,
  type OpenTls,
  SignatureSlot,
  type SignDigest,
  type TlsThreadData,
} from './tpm-tls-messages.js'

const engineKey = { privateKeyEngine: 'touchmark', privateKeyIdentifier: `touchmark-${process.pid}-${Date.now()}` }

/** Without a signature OpenSSL ends the handshake with an error of its own, which says nothing of the TPM. */
let unsigned = false
const notSigned = { code: 'KEY_UNAVAILABLE', message: 'the TPM did not answer' } as const

if (parentPort) serve(parentPort, workerData as TlsThreadData)

function serve(agent: MessagePort, { point, signature }: TlsThreadData): void {
  const slot = new SignatureSlot(signature)
  loadAddon().addon.register(engineKey.privateKeyIdentifier, Buffer.from(point), (digest) => {
    const signed = slot.ask((ticket) => agent.postMessage({ digest, ticket } satisfies SignDigest))
    unsigned = signed === undefined
    return Buffer.from(signed ?? [])
  })
  agent.on('message', (request: OpenTls) => void open(request))
}

async function open({ channel, verifiedByAgent, ...target }: OpenTls): Promise<void> {
  const tell = (message: FromThread): void => channel.postMessage(message)
  try {
    const verify = verifiedByAgent ? { verify: () => Promise.resolve() } : {}
    carry(await openTls({ ...target, ...verify }, engineKey), channel)
  } catch (error) {
    const { code, message } = unsigned ? notSigned : failure(error)
    unsigned = false
    tell({ kind: 'failed', code, message })
    channel.close()
  }
}

function failure(error: unknown): { readonly code: string; readonly message: string } {
  return { code: error instanceof AgentError ? error.code : 'UNREACHABLE', message: messageOf(error) }
}

/** Carries one connection's data; nothing is read from the socket before the agent says `resume`. */
function carry({ stream, peerChain, exportKeyingMaterial }: TlsConnection, channel: MessagePort): void {
  const tell = (message: FromThread): void => channel.postMessage(message)
  stream.pause()
  stream.on('data', (chunk: Buffer) => tell({ kind: 'data', chunk }))
  stream.once('end', () => tell({ kind: 'ended' }))
  stream.once('close', () => {
    tell({ kind: 'closed' })
    channel.close()
  })
  channel.once('close', () => stream.destroy())
  channel.on('message', (message: FromAgent) => {
    switch (message.kind) {
      case 'resume':
        return void stream.resume()
      case 'pause':
        return void stream.pause()
      case 'write':
        return void stream.write(message.chunk, () => tell({ kind: 'written' }))
      case 'end':
        return void stream.end()
      case 'destroy':
        return void stream.destroy()
      case 'export':
        return void exported(message.length, message.label).then((bytes) => tell({ kind: 'exported', bytes }))
    }
  })
  tell({ kind: 'open', peerChain })

  async function exported(length: number, label: string): Promise<Uint8Array> {
    return exportKeyingMaterial(length, label)
  }
}
