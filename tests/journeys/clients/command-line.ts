import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { runForeign } from '../world.js'
import type { Client, Heard, Listening, Publishing } from './client.js'
import { Mailbox } from './mailbox.js'

export type CommandLine = readonly [program: string, ...args: string[]]

/** How a program's command line asks for what a client does. */
export interface Commands {
  /** One message for each line of its input. */
  publish(publishing: Publishing): CommandLine
  /** Prints `Subscribed (mid: 1): QOS` or `subscribed QOS`, then `heard TOPIC QOS RETAIN PAYLOAD`. */
  listen(listening: Listening): CommandLine
  /** What makes it say goodbye. */
  readonly leaves: 'at SIGTERM' | 'at the end of its input'
}

/** A client that is a program of its own. */
export function commandLineClient(commands: Commands): Client {
  return {
    async publish(publishing) {
      const [program, ...args] = commands.publish(publishing)
      const input = publishing.payloads.map((payload) => `${payload}\n`).join('')
      const { exitCode, stdout, stderr } = await runForeign(program, args, { input, timeout: 60_000 })
      if (exitCode !== 0) throw new Error(`${program} ended with ${exitCode}: ${stdout}${stderr}`)
    },

    async listen(listening) {
      const [program, ...args] = commands.listen(listening)
      const child = spawn(program, args, {
        stdio: ['pipe', 'pipe', 'inherit'],
        timeout: 120_000, // of one that says nothing at all
        killSignal: 'SIGKILL',
      })
      const ended = once(child, 'close')
      const mailbox = new Mailbox()
      const granted = await new Promise<number>((resolve, reject) => {
        const printed: string[] = []
        createInterface({ input: child.stdout }).on('line', (line) => {
          printed.push(line)
          const heard = readHeard(line)
          if (heard) mailbox.take(heard)
          const [, qos] = /^(?:Subscribed \(mid: \d+\):|subscribed) (\d+)/.exec(line) ?? []
          if (qos !== undefined) resolve(Number(qos))
        })
        void ended.then(() => reject(new Error(`${program} ended without a subscription: ${printed.join('\n')}`)))
      })
      return {
        granted,
        heard: mailbox.heard,
        hears: (count) => mailbox.hears(count),
        leave: async () => {
          if (commands.leaves === 'at SIGTERM') child.kill('SIGTERM')
          else child.stdin.end()
          await ended
        },
        vanish: async () => {
          child.kill('SIGKILL')
          await ended
        },
      }
    },
  }
}

function readHeard(line: string): Heard | undefined {
  const [, topic, qos, retain, payload] = /^heard (\S+) ([012]) ([01]) (.*)$/.exec(line) ?? []
  if (topic === undefined || payload === undefined) return undefined
  return { topic, payload, qos: Number(qos), retain: retain === '1' }
}
