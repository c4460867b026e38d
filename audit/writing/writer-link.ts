import { Worker } from 'node:worker_threads'
import type { Batch } from '../entries/entry-buffer.js'
import { AuditError } from '../errors.js'
import type { FromWriter, ToWriter } from './writer-service.js'
import type { Opened, WriterOptions } from './writer.js'

/** The way to a {@link WriterService} and back. */
export interface WriterLink {
  send(message: ToWriter): void
}

/** A writer that has the log open. */
export interface OpenWriter extends WriterLink {
  readonly opened: Opened
  /** To be set at once: called with whatever it says from then on. */
  receive: (message: FromWriter) => void
}

/** Resolves when the writer has opened the log. @throws AuditError AUDIT_CORRUPT, AUDIT_FULL, AUDIT_FAILED */
export async function openWriter(connect: ConnectWriter, options: WriterOptions): Promise<OpenWriter> {
  return await new Promise((resolve, reject) => {
    let open: OpenWriter | undefined
    const link = connect(options, (message) => {
      if (open) open.receive(message)
      else if (message.kind === 'failed') reject(new AuditError(message.code, message.message))
      else if (message.kind === 'opened') {
        const { opened } = message
        resolve((open = { opened, send: (toWriter) => link.send(toWriter), receive: () => undefined }))
      }
    })
  })
}

export type ConnectWriter = (options: WriterOptions, receive: (message: FromWriter) => void) => WriterLink

/** Starts the writer in a thread of its own. */
export const startWorker = workerOf(new URL('./worker.js', import.meta.url))

/** A thread that dies counts as a disk that failed. */
export function workerOf(script: URL): ConnectWriter {
  return (options, receive) => {
    const worker = new Worker(script, { workerData: options })
    const failed = (message: string) => receive({ kind: 'failed', code: 'AUDIT_FAILED', message })
    worker.on('message', receive)
    worker.on('error', (error: Error) => failed(error.message))
    worker.on('exit', () => failed('the writer has ended'))
    return {
      send(message) {
        worker.postMessage(message, message.kind === 'batch' ? handedOver(message) : [])
      },
    }
  }
}

function handedOver({ records, payloads }: Batch): readonly ArrayBuffer[] {
  return payloads ? [records, payloads.buffer] : [records]
}
