import type { ProfileName } from '#protocol'
import type { OfflineTerms } from '#registry'
import { EnrollmentError } from './errors.js'

/** The rules under which machines may enroll. */
export interface EnrollmentProfile {
  readonly name: ProfileName
  /** Refuse joins without TPM evidence, whose key lies in a file. What has joined before goes on. Default false. */
  readonly requireTpm?: boolean
  /** Refuse joins that are bound by a nonce, which a TLS-terminating proxy could pass on. Default false. */
  readonly requireExporter?: boolean
  /** Accept an EK without a certificate when an operator registered it; its tier is `tpm-unvouched`. Default false. */
  readonly allowUnvouchedTpm?: boolean
  /** How devices come back that were away for longer than their certificates lasted. Default: 30 days, into quarantine */
  readonly offline?: OfflineTerms
  /** What becomes of genuine hardware that nobody has registered: it waits for an operator, or is refused. Default `refuse`. */
  readonly unknown?: 'refuse' | 'approve'
  /** Whether a known device whose TPM was reset waits for an operator, or goes on. Default `approve`. */
  readonly onTpmReset?: 'approve' | 'accept'
  /** Whose IDevIDs count as genuine, by their ids. Default: nobody's. */
  readonly idevidMakers?: readonly string[]
  /** The TPMs are those of virtual machines, so that one with an older state is a copy and locked at once. Default false. */
  readonly virtualTpm?: boolean
}

/** All that there are here. */
export class Profiles {
  readonly #byName: ReadonlyMap<ProfileName, EnrollmentProfile>

  constructor(profiles: readonly EnrollmentProfile[]) {
    this.#byName = new Map(profiles.map((profile) => [profile.name, profile]))
  }

  /** @throws EnrollmentError PROFILE_UNKNOWN */
  require(name: ProfileName): EnrollmentProfile {
    const profile = this.find(name)
    if (profile === undefined) throw new EnrollmentError('PROFILE_UNKNOWN', `there is no enrollment profile ${name}`)
    return profile
  }

  /** Undefined of one that is no longer offered. */
  find(name: ProfileName): EnrollmentProfile | undefined {
    return this.#byName.get(name)
  }

  /** Of a profile that is no longer offered devices may be away all the same. */
  offlineTermsOf(name: ProfileName): OfflineTerms {
    return this.find(name)?.offline ?? defaultOffline
  }
}

/** Spec §5. */
const defaultOffline: OfflineTerms = { mostMilliseconds: 30 * 24 * 3600 * 1000, recover: 'quarantine' }
