/**
 * No device with this software has ever been switched on before this instant. scripts/build.mjs writes the day of the
 * source over it; what stands here holds where that is not known.
 */
export const buildTime = Date.parse('2026-11-01T00:00:00Z')
