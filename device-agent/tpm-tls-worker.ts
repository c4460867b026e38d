import { createRequire } from 'node:module'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '#protocol'
import type { TlsConnection } from './device-key.js'
import { AgentError } from './errors.js'
import { openTls } from './tls.js'
import {
  type FromAgent,
  type FromThread,
  type OpenTls,
  SignatureSlot,
  type SignDigest,
  type TlsThreadData,
} from './tpm-tls-messages.js'

/** native/tpm_key.c */
interface TpmKeyAddon {
  register(id: string, point: Buffer, sign: (digest: Buffer) => Buffer): void
}

const engineKey = { privateKeyEngine: 'touchmark', privateKeyIdentifier: `touchmark-${process.pid}-${Date.now()}` }

if (parentPort) serve(parentPort, workerData as TlsThreadData)

function serve(agent: MessagePort, { point, signature }: TlsThreadData): void {
  const slot = new SignatureSlot(signature)
  loadAddon().register(engineKey.privateKeyIdentifier, Buffer.from(point), (digest) =>
    Buffer.from(slot.ask(() => agent.postMessage({ digest } satisfies SignDigest))),
  )
  agent.on('message', (request: OpenTls) => void open(request))
}

function loadAddon(): TpmKeyAddon {
  const require = createRequire(import.meta.url)
  return require('../../native/build/Release/tpm_key.node') as TpmKeyAddon
}

async function open({ channel, verifiedByAgent, ...target }: OpenTls): Promise<void> {
  const tell = (message: FromThread): void => channel.postMessage(message)
  try {
    const verify = verifiedByAgent ? { verify: () => Promise.resolve() } : {}
    carry(await openTls({ ...target, ...verify }, engineKey), channel)
  } catch (error) {
    const code = error instanceof AgentError ? error.code : 'UNREACHABLE'
    tell({ kind: 'failed', code, message: messageOf(error) })
    channel.close()
  }
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
