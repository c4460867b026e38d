import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { defaultPolicy, parsePolicy, policySchema } from '#policy'
import { encodeJUnit } from '../../cli/junit.js'
import { run, temporaryFolder } from '../server/running.js'

test('a policy’s tests are reported to CI: what passed, what failed and where, and a file that cannot be read', async (t) => {
  const folder = temporaryFolder(t)
  const [policy, report] = [join(folder, 'policy.yaml'), join(folder, 'report.xml')]
  const tested = async (source: string) => {
    writeFileSync(policy, source)
    const { code } = await run(folder, ['policy', 'test', policy, '--junit', report])
    return { code, xml: readFileSync(report, 'utf8') }
  }
  const own = parsePolicy(defaultPolicy, 'policy.yaml').tests.length
  const good = await tested(defaultPolicy)
  assert.equal(good.code, 0)
  assert.match(
    good.xml,
    new RegExp(`<testsuite name="[^"]+policy\\.yaml" tests="${own}" failures="0" errors="0" skipped="0"`),
  )
  assert.match(
    good.xml,
    /<testcase name="d1 publish devices\/d1\/telemetry\/temperature: allow by telemetry" classname="[^"]+policy\.yaml:\d+:\d+" time="0"\/>/,
  )
  const failing = await tested(defaultPolicy.replace('expect: allow', 'expect: deny'))
  assert.equal(failing.code, 8)
  assert.match(failing.xml, new RegExp(`tests="${own}" failures="1" errors="0"`))
  assert.match(failing.xml, /<failure message="expected deny, got allow by device\/telemetry">/)
  const broken = await tested(defaultPolicy.replace('roles:', 'rules:'))
  assert.equal(broken.code, 8)
  assert.match(broken.xml, /tests="1" failures="0" errors="1"/)
  assert.match(
    broken.xml,
    /<error message="[^"]+policy\.yaml:\d+:1: unknown key &#34;rules&#34;[^"]+\[POLICY_UNKNOWN_KEY\]">/,
  )
  const { code, stderr } = await run(folder, ['policy', 'test', policy, '--junit', join(folder, 'absent', 'x.xml')])
  assert.deepEqual([code, /\[CANNOT_WRITE\]/.test(stderr)], [1, true])
})

test('a report is XML whatever a policy says', () => {
  const hostile = `"<&>' \u0000\u001b]0;x\u0007 \ufffe \u2028 \n]]>`
  const xml = encodeJUnit(hostile, [{ name: hostile, at: hostile, problem: hostile }])
  assert.doesNotMatch(xml, /[^\P{C}\n]|\u2028/u)
  assert.equal(xml.match(/</g)?.length, 2 + 2 * 4 - 1)
  assert.equal(xml.match(/&(?!#\d+;)/g), null)
})

test('the schema of policies is printed for editors, and needs no server', async (t) => {
  const { code, stdout } = await run(temporaryFolder(t), ['policy', 'schema'])
  assert.equal(code, 0)
  assert.deepEqual(JSON.parse(stdout), policySchema)
})
