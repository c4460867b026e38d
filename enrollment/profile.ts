import type { ProfileName } from '#protocol'

/** The rules under which machines may enroll. */
export interface EnrollmentProfile {
  readonly name: ProfileName
  /** Refuse joins without TPM evidence, whose key lies in a file. What has joined before goes on. Default false. */
  readonly requireTpm?: boolean
  /** Refuse joins that are bound by a nonce, which a TLS-terminating proxy could pass on. Default false. */
  readonly requireExporter?: boolean
  /** Accept an EK without a certificate when an operator registered it; its tier is `tpm-unvouched`. Default false. */
  readonly allowUnvouchedTpm?: boolean
}
