import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test from 'node:test'
import { needs } from '../needs.js'
import { openApplication, repository } from './tarball.js'
import { connected, enroll, next, openStage, runForeign } from './world.js'

test(
  'the example of the documentation enrolls, speaks, hears and ends in an application of its own',
  needs('npm'),
  async (t) => {
    const stage = await openStage(t)
    const gateway = await connected(t, stage, await enroll(stage, 'gateway-1', 'role=gateway'), {
      clientId: 'gateway-1',
    })
    await gateway.subscribeAsync('devices/+/telemetry/#', { qos: 1 })
    const heard: string[] = []
    gateway.on('message', (topic, payload) => heard.push(`${topic} ${payload.toString()}`))
    const application = await openApplication(stage.folder)
    writeFileSync(join(application, 'example.js'), exampleOf('docs/device.md'))

    const { token } = await stage.ask<{ token: string }>('tokens', 'create', '--device', 'oven-1')
    const child = spawn(process.execPath, ['example.js'], {
      cwd: application,
      env: { ...process.env, JOIN_URI: stage.joinUri, JOIN_TOKEN: token, STATE: join(stage.folder, 'oven-1') },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => child.kill('SIGKILL'))
    const lines: string[] = []
    const output = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    while (heard.length === 0) await next(gateway, 'message')
    assert.deepEqual(heard, ['devices/oven-1/telemetry/temperature {"c":21.5}'])
    await gateway.publishAsync('devices/oven-1/cmd/light', 'on', { qos: 1 })
    while (!lines.includes('devices/oven-1/cmd/light on')) await once(output, 'line')
    assert.ok(
      lines.some((line) => line.includes('nothing allows it')),
      lines.join('\n'),
    )
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [0, null])

    writeFileSync(join(application, 'typed.ts'), typed)
    const tsc = join(repository, 'node_modules/typescript/bin/tsc')
    const strictly = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', 'typed.ts']
    const checked = await runForeign(process.execPath, [tsc, ...strictly], { cwd: application, timeout: 60_000 })
    assert.equal(checked.exitCode, 0, checked.stdout)
  },
)

/** Says each thing once, and one that the types must refuse. */
const typed = `
import { connect, type Device, enroll, type Failure, type Message } from 'touchmark/agent'

const { deviceId, notAfter } = await enroll({ join: 'touchmark://…', token: 'tm1.…', folder: '/x', reported: { model: 'a' } })
const device: Device = await connect({ folder: '/x', announce: 'devices/{id}/state' })
device.on('renewed', (until: Date) => until.getTime()).on('locked', (reason: Failure) => reason.code.length)
const subscription = await device.subscribe(deviceId, ({ topic, payload }: Message) => topic.length + payload.length)
subscription.unsubscribe()
await device.publish('a', new Uint8Array(), { retain: notAfter > new Date() })
// @ts-expect-error
device.on('no such event', () => undefined)
await device.close()
`

function exampleOf(page: string): string {
  const found = /```js\n(import [^\n]* from 'touchmark\/agent'\n.*?)```/s.exec(
    readFileSync(join(repository, page), 'utf8'),
  )
  return found?.[1] ?? assert.fail(`${page} has no example`)
}
