/** An operator's act. */
export interface Act {
  /** Why, for the audit log. */
  readonly comment?: string
}
