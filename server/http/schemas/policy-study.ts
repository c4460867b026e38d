import Type from 'typebox'
import { strict } from './fields.js'

export const suggestionQuery = strict({
  role: Type.Optional(Type.String({ maxLength: 64, description: 'Only its rules' })),
  days: Type.Optional(Type.String({ pattern: '^[1-9]\\d{0,3}$', description: 'How far to look back; 30 by default' })),
})

export const shadowQuery = strict({
  file: Type.Optional(Type.String({ maxLength: 256, description: 'Named in messages, as file:line:column' })),
  decisions: Type.Optional(
    Type.String({ pattern: '^([1-9]\\d{0,4}|100000)$', description: 'How many of the log, at most 100,000' }),
  ),
})
