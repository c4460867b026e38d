/** How a log treats what messages say; without it, it says nothing of that. Passed to the writer's thread as it is. */
export interface PayloadOptions {
  /**
   * Holds the key of each day that wraps the keys of that day's devices. Outside the log's folder and outside its
   * backups: what is erased here must be erased everywhere.
   */
  readonly keyFolder: string
}
