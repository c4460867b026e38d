import { X509Error } from '#x509'

/**
 * What the first of those that are trusted leads to. Each is tried by itself: what one is forgiven, or brings along, is
 * nothing for another. @throws X509Error the reason of the one that came closest
 */
export function firstToVouch<Trusted, Found>(all: readonly Trusted[], verify: (trusted: Trusted) => Found): Found {
  const problems: X509Error[] = []
  for (const trusted of all) {
    try {
      return verify(trusted)
    } catch (error) {
      if (!(error instanceof X509Error)) throw error
      problems.push(error)
    }
  }
  throw closest(problems) ?? new X509Error('ISSUER_UNKNOWN', 'nobody is trusted here')
}

/** To know the issuer and refuse it for something says more than not to know it. */
function closest(problems: readonly X509Error[]): X509Error | undefined {
  const isStranger = ({ code }: X509Error) => code === 'ISSUER_UNKNOWN' || code === 'SELF_SIGNED'
  return problems.find((problem) => !isStranger(problem)) ?? problems[0]
}
