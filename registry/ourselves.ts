import { type OperatorFacts, parseOperatorName } from '#protocol'

/** What the service does by itself stands in the log under this name. */
export const ourselves: OperatorFacts = { operator: parseOperatorName('touchmark') }
