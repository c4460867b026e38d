import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { AttestationView, DeviceView, LearnPcrsAnswer, LockView } from '#protocol'
import { createEkAuthority, logOfMeasurements, type MeasuredBoot, measuredBoot, openSoftwareTpm } from '#simulators'
import { emptyStage, makeRenewalDue, searchAudit } from './world.js'

const observing = `name: gateways
mode: observe
profiles: [default]
pcrs: { 0: [], 4: [], 7: [] }
events: { secureBoot: on }
`

test('a machine is observed, learned, held to what it booted, and turned away when it boots something else', async (t) => {
  const { stage, machine, boots, applies } = await openWorld(t)
  await applies(observing)
  await boots({})
  const enroll = (...more: readonly string[]) => machine.tries(...enrolling, ...more)
  const enrolling = ['enroll', '--join', stage.joinUri, '--tpm', boots.spec, '--event-log', boots.eventLog] as const
  const { token } = await stage.ask<{ token: string }>('tokens', 'create', '--device', 'gw-1')
  await machine.does(...enrolling, '--token', token)

  const first = await stage.ask<AttestationView>('attest', 'show', 'gw-1')
  assert.deepEqual([first.tier, first.verdict?.outcome, first.verdict?.reasons.length], ['tpm', 'bad', 3])
  assert.ok(first.pcrs.length === 3 && first.pcrs.every(({ replays }) => replays))
  assert.ok(first.events?.some(({ text, measured }) => text.startsWith('kernel_cmdline: ') && measured))

  const learned = await stage.ask<LearnPcrsAnswer>('attest', 'learn', '--device', 'gw-1', '--comment', 'as delivered')
  assert.deepEqual([learned.policy.name, learned.learned], ['gateways', [0, 4, 7]])
  await applies(learned.policy.source.replace('observe', 'enforce'))
  await machine.does(...enrolling, '--again')
  assert.deepEqual(tiersOf(await stage.ask<DeviceView>('devices', 'show', 'gw-1'))[0], 'tpm+pcr')

  await boots({ loader: 'another loader' })
  const refused = await enroll('--again')
  assert.deepEqual([refused.exitCode, /PCR_MISMATCH/.test(refused.stderr)], [4, true], refused.stderr)
  await boots({ secureBoot: false })
  assert.match((await enroll('--again')).stderr, /PCR_MISMATCH.*Secure Boot is off/s)
  const [record] = await searchAudit(stage, '--event', 'join.refuse')
  assert.equal(record?.reason, 'PCR_MISMATCH')
})

test('a machine that has drifted by its renewal is put in quarantine, and stays connected', async (t) => {
  const { stage, machine, boots, applies } = await openWorld(t)
  await boots({})
  const { token } = await stage.ask<{ token: string }>('tokens', 'create', '--device', 'gw-1')
  const enrolling = ['enroll', '--join', stage.joinUri, '--tpm', boots.spec, '--event-log', boots.eventLog] as const
  await applies(observing)
  await machine.does(...enrolling, '--token', token)
  const { policy } = await stage.ask<LearnPcrsAnswer>('attest', 'learn', '--device', 'gw-1')
  await applies(policy.source.replace('observe', 'enforce'))

  await boots({ loader: 'another loader' })
  await makeRenewalDue(machine)
  const running = machine.starts('run')
  await running.line((line) => line.includes(' connected ') && line.includes('generation=2'))
  await running.stop()
  const { tier, verdict } = await stage.ask<AttestationView>('attest', 'show', 'gw-1')
  assert.deepEqual([tier, verdict?.outcome, verdict?.policy?.mode], ['tpm', 'bad', 'enforce'])
  const [lock, ...others] = await stage.ask<readonly LockView[]>('locks', 'ls')
  assert.deepEqual([lock?.target, lock?.mode, others], [{ device: 'gw-1' }, 'quarantine', []])
  assert.match(lock?.reason ?? '', /PCR_MISMATCH: PCR 4/)
})

test('a machine without an event log joins where no policy holds, and is refused by one that looks at it', async (t) => {
  const { stage, machine, boots, applies } = await openWorld(t)
  await boots({})
  const { token } = await stage.ask<{ token: string }>('tokens', 'create', '--device', 'gw-1')
  const enrolling = ['enroll', '--join', stage.joinUri, '--tpm', boots.spec, '--event-log', '/nowhere'] as const
  await machine.does(...enrolling, '--token', token)
  assert.equal((await stage.ask<AttestationView>('attest', 'show', 'gw-1')).verdict, undefined)
  await applies(observing.replace('observe', 'enforce').replace(/\[\]/g, 'any'))
  const refused = await machine.tries(...enrolling, '--again')
  assert.match(refused.stderr, /EVENT_LOG_MISSING/)
})

function tiersOf({ instances }: DeviceView): readonly string[] {
  return instances.toReversed().flatMap(({ certificates }) => certificates.map(({ tier }) => tier))
}

/** A service that trusts the maker of one machine's TPM, and that machine. */
async function openWorld(t: TestContext) {
  const stage = emptyStage(t)
  const folder = join(stage.folder, 'tpm')
  const ekAuthority = await createEkAuthority({ folder: stage.folder, now: Date.now })
  await (await openSoftwareTpm({ folder, ekAuthority, now: Date.now })).close()
  await stage.openService({ ekRootFiles: [ekAuthority.rootFile] })
  const eventLog = join(folder, 'event-log')
  const boots = async (boot: MeasuredBoot) => writeFile(eventLog, logOfMeasurements(measuredBoot(boot)))
  const applies = async (policy: string) => {
    const file = join(stage.folder, 'gateways.yaml')
    await writeFile(file, policy)
    await stage.operator('attest', 'policies', 'apply', file, '--comment', 'for the test')
  }
  const machine = stage.device('gw-1', 'simulated-agent')
  return { stage, machine, applies, boots: Object.assign(boots, { spec: `software:${folder}`, eventLog }) }
}
