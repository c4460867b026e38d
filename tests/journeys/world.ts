import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import type { Outcome } from '../../demo/programs.js'
import { type ServiceOptions, Stage, type StageDevice } from '../../demo/stage.js'
import type { Line } from './line.js'

/** What a journey reads of an audit record. */
export interface Entry {
  readonly sequence: number
  readonly time: string
  readonly event: string
  readonly device?: string
  readonly run?: string
  readonly topic?: string
  readonly decision?: string
  readonly dup?: boolean
  readonly reason?: string
  readonly clientId?: string
  readonly publisher?: string
  readonly lock?: string
  readonly sessions?: number
  readonly method?: string
  readonly tier?: string
  readonly anchorHash?: string
  readonly spkiHash?: string
  readonly binding?: string
  readonly akName?: string
}

/** A test, or a file of them: what is done when it ends. */
export interface Ends {
  after(end: () => Promise<void> | void): void
}

/** A service of the test's own, of real programs; ended and removed with it. */
export async function openStage(t: TestContext, options?: ServiceOptions): Promise<Stage> {
  const stage = emptyStage(t)
  await stage.openService(options)
  return stage
}

/** The same before its service has started. */
export function emptyStage(t: Ends): Stage {
  const stage = new Stage(mkdtempSync(join(tmpdir(), 'touchmark-journey-')))
  t.after(async () => {
    await stage.clear()
    rmSync(stage.folder, { recursive: true, force: true })
  })
  return stage
}

/** For a journey that needs no service. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-journey-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A device that has joined with a token; labels as `role=gateway`. */
export async function enroll(stage: Stage, name: string, ...labels: readonly string[]): Promise<StageDevice> {
  const labelled = labels.flatMap((label) => ['--label', label])
  const { token } = await stage.ask<{ token: string }>('tokens', 'create', '--device', name, ...labelled)
  const device = stage.device(name)
  await device.does('enroll', '--join', stage.joinUri, '--token', token)
  return device
}

/** The files that the agent wrote, as others use them. */
export function filesOf(device: StageDevice) {
  const current = (name: string) => join(device.data, 'current', name)
  return { ca: current('ca.pem'), cert: current('cert.pem'), key: current('key.pem') }
}

/** Moves the renewal window that the service gave into the past, so that the agent renews as soon as it runs. */
export async function makeRenewalDue(device: StageDevice): Promise<void> {
  const past = '2020-01-01T00:00:00.000Z'
  await changeFacts(device, { renewal: { start: past, end: past } })
}

/** Has a device find its broker at the end of a line. */
export async function connectThrough(device: StageDevice, { port }: Line): Promise<void> {
  await changeFacts(device, { broker: `mqtts://localhost:${port}` })
}

async function changeFacts(device: StageDevice, changed: object): Promise<void> {
  const file = join(device.data, 'current', 'meta.json')
  const facts = JSON.parse(await readFile(file, 'utf8')) as object
  await writeFile(file, JSON.stringify({ ...facts, ...changed }))
}

/** What TLS needs to connect to the broker with a device's certificate. */
export function credentialOf(device: StageDevice) {
  const { ca, cert, key } = filesOf(device)
  return { ca: readFileSync(ca, 'utf8'), cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

/** An MQTT client with a device's certificate that has connected. */
export async function connected(
  t: Ends,
  stage: Stage,
  device: StageDevice,
  options: IClientOptions,
): Promise<MqttClient> {
  const client = mqtt.connect({
    ...{ protocol: 'mqtts', host: 'localhost', port: stage.ports.mqtt, protocolVersion: 4, reconnectPeriod: 0 },
    ...credentialOf(device),
    ...options,
  })
  t.after(() => void client.end(true))
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve())
    client.once('error', reject)
    client.once('close', () => reject(new Error('the broker closed the connection')))
  })
  client.on('error', () => undefined)
  return client
}

/** Resolves at the client's next event of that kind; mqtt.js has no emitter that `once` of node:events takes. */
export function next(client: MqttClient, event: 'message' | 'close' | 'connect'): Promise<void> {
  return new Promise((resolve) => {
    client.once(event, () => resolve())
  })
}

/** What the log says, oldest first, as `touchmark audit search` gives it. */
export async function searchAudit(stage: Stage, ...query: readonly string[]): Promise<readonly Entry[]> {
  const found = await stage.operator(
    'audit',
    'search',
    '-o',
    'json',
    '--order',
    'oldest',
    '--limit',
    '100000',
    ...query,
  )
  return found
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Entry)
}

interface ForeignOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly timeout?: number
  readonly input?: string
}

/** Runs a program of others to its end; one that does not end by itself is killed. */
export async function runForeign(
  program: string,
  args: readonly string[],
  { timeout = 15_000, input = '', ...options }: ForeignOptions = {},
): Promise<Outcome> {
  const child = spawn(program, args, { ...options, timeout, killSignal: 'SIGKILL' })
  child.stdin.on('error', () => undefined) // it may end without reading all of it
  child.stdin.end(input)
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<(number | null)[]>,
  ])
  return { exitCode: exitCode ?? -1, stdout, stderr }
}
