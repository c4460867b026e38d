/** Says what failed and why, and ends with `N passed, N failed`; in CI a skipped test is a failed one. */
export default async function* report(source) {
  let passed = 0
  let failed = 0
  let skipped = 0
  for await (const { type, data } of source) {
    if (type === 'test:stderr') yield data.message
    // What a test says of itself; the runner's own totals name no file.
    if (type === 'test:diagnostic' && data.file !== undefined) yield `· ${data.message}\n`
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite' && type === 'test:pass') continue
    const notRun = data.skip !== undefined || data.todo !== undefined
    if (type === 'test:fail' && data.details?.error?.failureType === 'subtestsFailed') continue
    if (type === 'test:fail' || (notRun && process.env.CI)) {
      failed++
      process.exitCode = 1
      yield `✗ ${data.file ?? ''} ${data.name}\n  ${reason(data, notRun)}\n`
    } else if (notRun) {
      skipped++
      yield `- ${data.name} (skipped${typeof data.skip === 'string' ? `: ${data.skip}` : ''})\n`
    } else passed++
  }
  yield `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`
}

function reason(data, notRun) {
  if (notRun) return `did not run${typeof data.skip === 'string' ? `: ${data.skip}` : ''}; in CI that is a failure`
  const error = data.details?.error
  return error?.cause?.stack ?? error?.stack ?? String(error)
}
