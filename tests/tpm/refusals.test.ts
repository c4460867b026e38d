import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { startSwtpm } from '#simulators'
import { decodePublic, makeCredential, nameOf, openTpm, type TpmErrorCode } from '#tpm'
import { execute } from '../../tpm/commands/command.js'
import { explainResponseCode } from '../../tpm/commands/response-codes.js'
import type { Transport } from '../../tpm/transport/transport.js'
import { needs } from '../needs.js'
import { codeOf, refusing } from './bus.js'
import { hasCode } from './samples.js'

test('explains response codes with what they are about', () => {
  for (const [code, words] of [
    [0x902, /OBJECT_MEMORY.*0x902/],
    [0x1df, /INTEGRITY.*0x1df, parameter 1/],
    [0x99d, /POLICY_FAIL.*session 1/],
    [0x18b, /HANDLE.*handle 1/],
    [0xf84, /VALUE.*session 7/],
    [0xfc4, /VALUE.*parameter 15/],
    [0x911, /REFERENCE_H1: handle 2 is not loaded/],
    [0x918, /REFERENCE_S0: session 1 is not loaded/],
    [0x149, /NV_AUTHORIZATION/],
    [0x148, /NV_LOCKED/],
    [0x142, /COMMAND_SIZE/],
    [0x1e, /BAD_TAG.*1\.2/],
    [0x501, /vendor/],
    [0x97f, /other warning/],
    [0x17f, /other/],
    [0x1ff, /other.*parameter 1/],
    [0xb0143, /COMMAND_CODE.*resource manager/],
    [0xffffffff, /other/],
  ] as const) {
    assert.match(explainResponseCode(code), words)
  }
})

test('what a TPM says of itself has a code of its own, with what to do', async () => {
  const cases: readonly (readonly [number, TpmErrorCode, RegExp])[] = [
    [0x921, 'TPM_IN_LOCKOUT', /tpm2_dictionarylockout/],
    [0x902, 'TPM_OUT_OF_MEMORY', /\/dev\/tpmrm0/],
    [0x903, 'TPM_OUT_OF_MEMORY', /tpm2_flushcontext/],
    [0xb0902, 'TPM_OUT_OF_MEMORY', /resource manager/],
    [0x100, 'TPM_COMMAND_FAILED', /not started up/],
    [0x1df, 'TPM_COMMAND_FAILED', /INTEGRITY/],
  ]
  for (const [responseCode, code, advice] of cases) {
    await assert.rejects(
      flush(() => refusing(responseCode)),
      { code, message: advice },
    )
  }
})

test('failure mode is only what the TPM’s own test result says is one', async () => {
  const testResult = (result: number): Buffer => {
    const response = Buffer.from('800100000010000000000000', 'hex')
    return Buffer.concat([response, uint32(result)])
  }
  const answering = (result: Buffer) => (command: Buffer) => (codeOf(command) === 0x17c ? result : refusing(0x101))
  await assert.rejects(flush(answering(testResult(0))), { code: 'TPM_COMMAND_FAILED' })
  await assert.rejects(flush(answering(testResult(0x101))), { code: 'TPM_IN_FAILURE_MODE', message: /power/ })
  await assert.rejects(flush(answering(refusing(0x101))), { code: 'TPM_IN_FAILURE_MODE' })
})

test('a refusal with anything behind its code is no refusal', async () => {
  const longer = Buffer.concat([refusing(0x1df), Buffer.alloc(4)])
  longer.writeUInt32BE(longer.length, 2)
  await assert.rejects(
    flush(() => longer),
    hasCode('TPM_RESPONSE_INVALID'),
  )
  const withSessions = refusing(0x1df).fill(2, 1, 2)
  await assert.rejects(
    flush(() => withSessions),
    hasCode('TPM_RESPONSE_INVALID'),
  )
})

const options = needs('swtpm', 'swtpm_setup', 'tpm2_dictionarylockout')

test(
  'a TPM in lockout is told from one that refuses, and works again when its owner has ended it',
  options,
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
    const swtpm = await startSwtpm({ folder: join(folder, 'tpm') })
    t.after(async () => {
      await swtpm.stop()
      rmSync(folder, { recursive: true })
    })
    const run = (program: string, ...args: readonly string[]): void => {
      execFileSync(program, args, { env: { ...process.env, TPM2TOOLS_TCTI: swtpm.tcti }, stdio: 'ignore' })
    }
    const activate = async (): Promise<Uint8Array> => {
      const tpm = await openTpm(swtpm.spec)
      try {
        const [ak, ek] = [await tpm.attestationKey(), await tpm.endorsementKey('ecc-p384')]
        const akName = nameOf(decodePublic(ak.public))
        const credential = makeCredential({ ekPublic: decodePublic(ek.public) }, akName, randomBytes(32))
        return await tpm.activateCredential(ak, ek, credential)
      } finally {
        await tpm.close()
      }
    }
    const context = join(folder, 'guarded')
    run('tpm2_dictionarylockout', '-s', '-n', '1', '-t', '1000', '-l', '1000')
    run('tpm2_createprimary', '-Q', '-C', 'o', '-p', 'secret', '-c', context)
    run('tpm2_flushcontext', '-t')
    assert.throws(() => run('tpm2_create', '-Q', '-C', context, '-P', 'wrong'))
    run('tpm2_flushcontext', '-t')
    await assert.rejects(activate(), hasCode('TPM_IN_LOCKOUT'))
    run('tpm2_dictionarylockout', '--clear-lockout')
    assert.equal((await activate()).length, 32)
  },
)

/** Asks a TPM that answers so. */
function flush(answer: (command: Buffer) => Buffer): Promise<void> {
  const transport: Transport = {
    send: (command) => Promise.resolve(answer(Buffer.from(command))),
    close: () => Promise.resolve(),
  }
  return execute(transport, { name: 'FlushContext' }, () => undefined)
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
