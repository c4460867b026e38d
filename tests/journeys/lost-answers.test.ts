import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { createEkAuthority } from '#simulators'
import { encodePem } from '#x509'
import type { RunningProgram } from '../../demo/programs.js'
import { makeMaker } from '../enrollment/idevid-maker.js'
import { startIssuer } from '../enrollment/oidc/issuer.js'
import { needs } from '../needs.js'
import { Line } from './line.js'
import { type Place, type Traveller, type Way, ways } from './lost-answers/ways.js'
import { emptyStage, type Entry, searchAudit } from './world.js'

/* What becomes of a join or a renewal that is stopped anywhere: docs/device.md has the table, and these are its rows. */

const page = readFileSync('docs/device.md', 'utf8')
const troubles = ['the request is lost', 'its answer is lost', 'the service is killed as it answers'] as const
type Trouble = (typeof troubles)[number]

test('whatever is lost on the way, the device asks again and has one certificate', needs('openssl'), async (t) => {
  const world = await openWorld(t)
  const rows: string[] = []
  for (const way of ways) {
    const ofRequests: { readonly request: string; readonly journeys: readonly Journey[] }[] = []
    for (const [at, request] of way.requests.entries()) {
      if (at + 1 < (way.own ?? 1)) continue
      const journeys: Journey[] = []
      for (const trouble of troubles) journeys.push(await travel(way, at + 1, trouble, world))
      ofRequests.push({ request, journeys })
    }
    const records = await searchAudit(world.place.stage, '--event', way.event)
    for (const { request, journeys } of ofRequests) {
      const outcomes = journeys.map((journey) => outcomeOf(journey, records))
      rows.push(`| ${[way.name, `\`${request}\``, ...outcomes].join(' | ')} |`)
    }
  }
  const [, table = ''] = /^## When an answer is lost$[^]*?^\|---.*$\n([^]*?)\n\n/m.exec(page) ?? []
  assert.deepEqual(table.split('\n'), rows)
  for (const never of ['join.refuse', 'device.clone', 'lock.add']) {
    assert.deepEqual(await searchAudit(world.place.stage, '--event', never), [])
  }
})

interface Journey {
  readonly traveller: Traveller
  /** By the clock of the records. */
  readonly stoppedAt: number
}

let travellers = 0

/** The way to where it is stopped, and again to its end. */
async function travel(way: Way, request: number, trouble: Trouble, { place, restart }: World): Promise<Journey> {
  const { line } = place
  const traveller = await way.prepare(place, `d-${++travellers}`)
  line.mend()
  const reached = line.stopAt(request, trouble === 'the request is lost' ? 'request' : 'answer')
  const first = assert.rejects(traveller.go())
  await Promise.race([reached, first])
  if (trouble === 'the service is killed as it answers') await restart()
  line.cut()
  await first
  assert.equal(line.requests, request, 'it was stopped there, and not elsewhere')
  const stoppedAt = Date.now()

  line.mend()
  await traveller.go()
  assert.equal(line.requests, way.requests.length, `${way.name} has other requests`)
  await traveller.speak()
  return { traveller, stoppedAt }
}

function outcomeOf({ traveller, stoppedAt }: Journey, records: readonly Entry[]): string {
  const times = records.filter((record) => traveller.isOf(record)).map(({ time }) => new Date(time).getTime())
  const before = times.filter((time) => time <= stoppedAt).length
  return outcomes[`${before} of ${times.length}`] ?? `${before} records before and ${times.length} in all`
}

const outcomes: Readonly<Record<string, string>> = {
  '0 of 1': 'nothing has happened',
  '1 of 1': 'the same answer again',
  '1 of 2': 'recorded again',
}

type World = Awaited<ReturnType<typeof openWorld>>

async function openWorld(t: TestContext) {
  const stage = emptyStage(t)
  const [tpmMaker, machineMaker, issuer] = await Promise.all([
    createEkAuthority({ folder: stage.folder, now: Date.now }),
    makeMaker(),
    startIssuer(t),
  ])
  const file = (name: string, content: string) => {
    writeFileSync(join(stage.folder, name), content)
    return join(stage.folder, name)
  }
  const allow = [{ match: { repository_id: '42' }, labels: { site: 'ci' } }]
  const config = {
    idevidMakers: { ACME: [file('acme.pem', encodePem('CERTIFICATE', machineMaker.certificate))] },
    profiles: { default: { unknown: 'approve', idevidMakers: ['ACME'] } },
    oidc: [{ name: 'ci', issuer: issuer.url, caFile: file('ci.pem', issuer.ca), run: ['run_id'], allow }],
  }
  mkdirSync(stage.serverData)
  writeFileSync(join(stage.serverData, 'touchmark.yaml'), JSON.stringify(config))
  const open = () => stage.openService({ ekRootFiles: [tpmMaker.rootFile] })
  let service: RunningProgram = await open()
  const place: Place = { stage, line: await Line.lay(t, stage.ports.https), tpmMaker, machineMaker, issuer }
  return {
    place,
    async restart() {
      await service.stop('SIGKILL')
      service = await open()
    },
  }
}
