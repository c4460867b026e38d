import type { RevokeAnswer } from '#protocol'
import { type Chip, type ChipKind, makeChip } from './chip.js'
import type { Narrator } from './narrator.js'
import type { RunningProgram } from './programs.js'
import type { Stage, StageDevice } from './stage.js'

const sensor = 'thermo-1'
const gateway = 'gateway-1'
const telemetry = `devices/${sensor}/telemetry/temperature`

/** A device enrolls at first boot, talks on its topics, and is revoked while it talks; each step holds or ends the story. */
export async function tellStory(stage: Stage, narrator: Narrator, chipKind: ChipKind): Promise<void> {
  narrator.title('Touchmark: from first boot to revocation, on this machine, with nothing faked')
  const chip = await openService(stage, narrator, chipKind)
  const devices = await bootDevices(stage, narrator, chip)
  const talk = await letThemTalk(narrator, devices)
  await refuseWhatIsNotTheirs(stage, narrator, devices)
  await revokeWhileTalking(stage, narrator, devices, talk)
  await proveIt(stage, narrator)
  narrator.end('All of it held.')
}

async function openService(stage: Stage, narrator: Narrator, kind: ChipKind): Promise<Chip> {
  narrator.chapter('A service starts')
  const chip = await narrator.step(
    ({ told }) => `the device's chip is ${told}, and an authority vouches for its endorsement key`,
    () => makeChip(kind, stage.folder),
  )
  stage.track(chip)
  await narrator.step('touchmark up: certificate authority, enrollment, MQTT broker and audit log in one process', () =>
    stage.openService({ ekRootFiles: [chip.ekRootFile] }),
  )
  return chip
}

interface Devices {
  readonly sensor: StageDevice
  readonly gateway: StageDevice
}

async function bootDevices(stage: Stage, narrator: Narrator, chip: Chip): Promise<Devices> {
  narrator.chapter('Two devices boot for the first time')
  const devices = { sensor: stage.device(sensor, chip.agent), gateway: stage.device(gateway) }

  const ekHash = await narrator.step(
    (hash) => `the chip's endorsement key has the SHA-256 ${hash.slice(0, 16)}…`,
    async () => (await devices.sensor.does('ek', '--tpm', chip.spec)).trim(),
  )
  await narrator.step(`the operator expects that key, and nothing more, as ${sensor}`, () =>
    stage.operator('devices', 'register', sensor, '--ek-hash', ekHash, '--label', 'site=oslo'),
  )
  await narrator.step(
    `${sensor} proves its chip and gets a certificate for a TLS key that was made in it and stays there`,
    () => devices.sensor.does('enroll', '--join', stage.joinUri, '--tpm', chip.spec),
  )

  const { token } = await narrator.step(`the operator makes a token for ${gateway}: one use, one hour`, () =>
    stage.ask<{ token: string }>('tokens', 'create', '--device', gateway, '--label', 'role=gateway'),
  )
  await narrator.step(`${gateway} joins with the token`, () =>
    devices.gateway.does('enroll', '--join', stage.joinUri, '--token', token),
  )
  await narrator.step('the same token is refused to the next machine that tries it', async () => {
    const thief = await stage.device('thief').tries('enroll', '--join', stage.joinUri, '--token', token)
    if (thief.exitCode === 0) throw new Error('it was accepted')
  })
  return devices
}

/** The sensor's and the gateway's programs, connected. */
interface Talk {
  readonly speaking: RunningProgram
  readonly listening: RunningProgram
}

async function letThemTalk(narrator: Narrator, devices: Devices): Promise<Talk> {
  narrator.chapter('They talk: MQTT over mTLS, with that certificate and nothing else')
  const listening = devices.gateway.starts('subscribe', 'devices/+/telemetry/#')
  await narrator.step(`${gateway} subscribes to the telemetry of all devices`, () =>
    listening.line((line) => line.startsWith('subscribed')),
  )
  const speaking = devices.sensor.starts('publish', telemetry, '--lines')
  await narrator.step(`${sensor} connects with its TPM key`, () =>
    speaking.line((line) => line.startsWith('connected')),
  )
  await narrator.step(`${sensor} says 21.5 °C, the log has it on disk, ${gateway} hears it`, () => {
    speaking.say('{"celsius":21.5}')
    return listening.line((line) => line.includes('21.5'))
  })
  return { speaking, listening }
}

async function refuseWhatIsNotTheirs(stage: Stage, narrator: Narrator, devices: Devices): Promise<void> {
  narrator.chapter('What no rule grants is refused, and says why')
  const foreign = `devices/${sensor}/cmd/reboot`
  const why = `publish ${telemetry}: nothing allows it`
  await narrator.step(`${gateway} may not speak as ${sensor}, and is told: "${why}"`, async () => {
    const { exitCode, stderr } = await devices.gateway.tries('publish', telemetry, '{"celsius":99}')
    if (exitCode === 0) throw new Error('it was accepted')
    if (!stderr.includes(why)) throw new Error(`it was told: ${stderr}`)
  })
  await narrator.step(`${gateway} may send commands: ${foreign} is accepted`, () =>
    devices.gateway.does('publish', foreign, 'now'),
  )
  await narrator.step('the operator asks which rule decides', async () => {
    const { stdout, exitCode } = await stage.tryOperator('policy', 'can', gateway, 'publish', telemetry, '--explain')
    if (exitCode === 0 || !stdout.includes('no_rule')) throw new Error(`expected a refusal by no_rule, got: ${stdout}`)
  })
}

async function revokeWhileTalking(stage: Stage, narrator: Narrator, devices: Devices, talk: Talk): Promise<void> {
  narrator.chapter(`${sensor} is stolen, and goes on talking`)
  let said = 0
  const chatter = setInterval(() => talk.speaking.say(`{"stolen":${++said}}`), 5)
  const heard = (): number => talk.listening.lines.filter((line) => line.includes('stolen')).length
  try {
    await talk.listening.line((line) => line.includes('stolen'))
    const startedAt = performance.now()
    const ended = talk.speaking.ended.then(() => performance.now() - startedAt)
    await narrator.step(`touchmark devices revoke ${sensor} --reason keyCompromise`, async () => {
      const answer = await stage.ask<RevokeAnswer>('devices', 'revoke', sensor, '--reason', 'keyCompromise')
      if (answer.sessions !== 1 || !answer.recorded)
        throw new Error(`one session should end, but: ${JSON.stringify(answer)}`)
    })
    const heardUntilThen = heard()
    narrator.happened(`its connection is gone, counted from the start of that command`, await ended)
    await narrator.step(`${sensor} tries to come back, and is refused at the door`, async () => {
      const { exitCode } = await devices.sensor.tries('publish', telemetry, '{"stolen":0}')
      if (exitCode === 0) throw new Error('it was let in')
    })
    await narrator.step(
      `${gateway} heard ${heardUntilThen} of its messages before the command returned, and none since`,
      () => {
        const since = heard() - heardUntilThen
        return since === 0 ? Promise.resolve() : Promise.reject(new Error(`it heard ${since}`))
      },
    )
  } finally {
    clearInterval(chatter)
  }
}

async function proveIt(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter('All of it stands in a log that anyone can check')
  const denials = await stage.operator('audit', 'search', '--decision', 'deny')
  narrator.note(denials.trimEnd())
  await narrator.step(
    ({ size, root }) =>
      `touchmark audit verify, offline, with the folder and a public key: ${size} records as they were signed, root ${root.slice(0, 16)}…`,
    async () => {
      const report = await stage.ask<VerifyReport>('audit', 'verify')
      if (!report.ok) throw new Error(JSON.stringify(report))
      return report
    },
  )
}

/** What of `touchmark audit verify -o json` the story looks at. */
interface VerifyReport {
  readonly ok: boolean
  readonly size: number
  readonly root: string
}
