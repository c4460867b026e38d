import { createServer, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryFolder } from './temporary-folder.js'

/** What a TPM can do to its user. */
export type Trouble = 'none' | 'unplugged' | 'silent' | 'slow' | 'lockout' | 'failure mode'

export interface TpmBetween {
  /** For `openTpm`. */
  readonly spec: string
  /** How many commands have come since the last change. */
  readonly commands: () => number
  /** From now on, for connections that are open too. */
  become(trouble: Trouble): void
}

const slowMs = 150
/** TPM_RC_LOCKOUT and TPM_RC_FAILURE (Part 2 table 16). */
const refusals: Partial<Record<Trouble, number>> = { lockout: 0x921, 'failure mode': 0x101 }

/** Stands between a user and a software TPM, and gives it the faults of hardware. */
export async function startTpmBetween(t: TestContext, behind: string): Promise<TpmBetween> {
  const path = join(temporaryFolder(t), 'tpm.sock')
  const open = new Set<Socket>()
  let trouble: Trouble = 'none'
  let commands = 0
  const server = createServer((user) => {
    if (trouble === 'unplugged') return void user.destroy()
    const tpm = connect(behind.slice('swtpm:'.length))
    for (const socket of [user, tpm]) {
      open.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => {
        open.delete(socket)
        user.destroy()
        tpm.destroy()
      })
    }
    tpm.on('data', (response) => user.write(response))
    user.on('data', (command) => {
      commands++
      const refusal = refusals[trouble]
      if (refusal !== undefined) user.write(refusalOf(refusal))
      else if (trouble === 'slow') setTimeout(() => tpm.write(command), slowMs)
      else if (trouble !== 'silent') tpm.write(command)
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const cut = (): void => {
    for (const socket of open) socket.destroy()
  }
  t.after(() => {
    server.close()
    cut()
  })
  return {
    spec: `swtpm:${path}`,
    commands: () => commands,
    become: (next) => {
      trouble = next
      commands = 0
      if (next === 'unplugged') cut()
    },
  }
}

/** A response without parameters (Part 1 §18.2). */
function refusalOf(code: number): Buffer {
  const response = Buffer.alloc(10)
  response.writeUInt16BE(0x8001, 0)
  response.writeUInt32BE(10, 2)
  response.writeUInt32BE(code, 6)
  return response
}
