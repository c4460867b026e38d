import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { ApprovalView } from '#protocol'
import { createEkAuthority, openSoftwareTpm } from '#simulators'
import { encodePem } from '#x509'
import { mustRun } from '../../demo/programs.js'
import { emptyStage, searchAudit } from './world.js'

test('a machine that nobody knows waits until an operator has seen it, and then comes in', async (t) => {
  const stage = emptyStage(t)
  const authority = await createEkAuthority({ folder: join(stage.folder, 'maker'), now: Date.now })
  const makers = join(stage.folder, 'makers.pem')
  await writeFile(makers, encodePem('CERTIFICATE', authority.root))
  await mkdir(stage.serverData, { recursive: true })
  await writeFile(join(stage.serverData, 'touchmark.yaml'), 'profiles: {default: {unknown: approve}}\n')
  await stage.openService({ ekRootFiles: [makers] })
  const chip = join(stage.folder, 'chip')
  const now = Date.now
  await (await openSoftwareTpm({ folder: chip, templates: ['ecc-p256'], ekAuthority: authority, now })).close()
  const tpm = `software:${chip}`
  const { ekHash } = JSON.parse(await mustRun('simulated-agent', ['ek', '--tpm', tpm, '-o', 'json'])) as {
    ekHash: string
  }

  const device = stage.device('new', 'simulated-agent')
  const enroll = ['--join', stage.joinUri, '--tpm', tpm] as const
  const waiting = device.starts('enroll', ...enroll)
  await waiting.line((line) => line.includes('APPROVAL_PENDING') && line.includes(ekHash))
  assert.equal(await waiting.stop(), 9)
  assert.equal((await device.tries('enroll', ...enroll, '--wait', '0')).exitCode, 9)

  const [shown, ...others] = await stage.ask<readonly ApprovalView[]>('approvals', 'ls')
  assert.deepEqual([shown?.hash, shown?.reason, shown?.tries, others], [ekHash, 'unknown', 2, []])
  const terms = ['--device', 'pump-7', '--label', 'site=oslo', '--reason', 'delivery 4711'] as const
  await stage.operator('approvals', 'approve', ekHash, ...terms)
  assert.match(await device.does('enroll', ...enroll), /^pump-7$/m)
  assert.deepEqual(await stage.ask('approvals', 'ls'), [])

  const [pending, ...more] = await searchAudit(stage, '--event', 'join.pending')
  assert.deepEqual([pending?.anchorHash, more], [ekHash, []])
  assert.deepEqual(await searchAudit(stage, '--event', 'join.refuse'), [])
})
