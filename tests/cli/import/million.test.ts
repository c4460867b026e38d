import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { promisify } from 'node:util'

/** In a process of its own, because a heap's bound is one of a process. */
const readAMillionRows = `
  import { DeviceFile } from ${JSON.stringify(new URL('../../../cli/import/batches.js', import.meta.url).href)}
  import { Problems } from ${JSON.stringify(new URL('../../../cli/import/problems.js', import.meta.url).href)}
  async function* rows() {
    yield Buffer.from('id,ek_hash,label.site\\n')
    for (let from = 0; from < 1_000_000; from += 1000) {
      let text = ''
      for (let at = from; at < from + 1000; at++) {
        const number = at === 999_999 ? 7 : at
        text += 'pump-' + number + ',' + String(number).padStart(64, '0') + ',oslo\\n'
      }
      yield Buffer.from(text)
    }
  }
  const file = new DeviceFile({ read: rows, size: 1 })
  const problems = new Problems()
  let devices = 0
  for await (const batch of file.batches(problems)) devices += batch.devices.length
  const { rss } = process.memoryUsage()
  console.log(JSON.stringify({ rows: file.rows, devices, wrong: problems.rows, named: problems.named, rss }))
`

test('a million rows are read in a heap of 40 MB, and the one that repeats another is named', async (t) => {
  const args = ['--max-old-space-size=40', '--input-type=module', '--eval', readAMillionRows]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const { rss, ...read } = JSON.parse(stdout) as { readonly rss: number }
  t.diagnostic(`resident: ${Math.round(rss / 1024 / 1024)} MB`)
  assert.deepEqual(read, {
    ...{ rows: 1_000_000, devices: 999_999, wrong: 1 },
    named: [
      { row: 1_000_001, column: 'id', problem: 'pump-7 stands in row 9 already' },
      { row: 1_000_001, column: 'ek_hash', problem: 'the same hash stands in row 9 already' },
    ],
  })
})
