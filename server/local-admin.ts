import { parseOperatorName } from '#protocol'

/**
 * Whoever holds the data folder. No policy can take anything from this operator, who could take the CA's keys; and no
 * certificate of this name is ever given to anybody else.
 */
export const localAdmin = parseOperatorName('admin')
