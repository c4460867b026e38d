/** Whether work came to its end; for what acts already, and is only recorded. */
export async function succeeds(work: Promise<void>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  )
}
