import { type DenyReason, denyReasons, parseTopicFilter, parseTopicName, tiers, type TopicAction } from '#protocol'
import type { Circumstances } from '../conditions/conditions.js'
import { parseAddress } from '../conditions/networks.js'
import type { Discovering, Offer, PolicyTest, Question } from '../policy.js'
import { Fields, flag, integer, mismatch, parsed, type Read, text, word } from './fields.js'
import { actions, deviceId, maxPayloadBytes, name, readLabels, readQos, time } from './values.js'

/** What a test can ask about. */
const asking = [...actions, 'discover'] as const

/** A question with its answer. */
export const readTest: Read<PolicyTest> = (node) => {
  const known = ['as', 'from', 'at', ...asking, 'qos', 'retain', 'size', 'expect', 'by', 'reason']
  const fields = new Fields(node, known)
  const asked = asking.filter((action) => fields.has(action))
  const [action] = asked
  if (action === undefined || asked.length > 1) throw mismatch(node, `exactly one of ${asking.join(', ')}`)
  return {
    at: node.at,
    as: fields.required('as', readAttributes),
    circumstances: readCircumstances(fields),
    question: readQuestion(fields, action),
    expect: fields.required('expect', word('allow', 'deny')),
    ...(fields.has('by') ? { by: fields.required('by', text) } : {}),
    ...(fields.has('reason') ? { reason: fields.required('reason', word(...expectableReasons)) } : {}),
  }
}

const readAttributes: Read<PolicyTest['as']> = (node) => {
  const fields = new Fields(node, ['id', 'tier', 'labels', 'quarantined'])
  return {
    id: fields.required('id', deviceId),
    tier: fields.required('tier', word(...tiers)),
    labels: fields.optional('labels', readLabels, {}),
    quarantined: fields.optional('quarantined', flag, false),
  }
}

/** What a test does not say is not known: its answer must not change with the day on which it is asked. */
function readCircumstances(fields: Fields): Circumstances {
  return {
    ...(fields.has('from') ? { from: fields.required('from', parsed(parseAddress, 'POLICY_INVALID_VALUE')) } : {}),
    ...(fields.has('at') ? { at: fields.required('at', time) } : {}),
  }
}

/** A service that some device offers, `labels` being that device's. */
const readOffer: Read<Offer> = (node) => {
  const fields = new Fields(node, ['labels', 'service', 'protocol'])
  return {
    labels: fields.optional('labels', readLabels, {}),
    service: fields.required('service', name),
    protocol: fields.required('protocol', name),
  }
}

function readQuestion(fields: Fields, action: TopicAction | 'discover'): Question | Discovering {
  const topicName = parsed(parseTopicName, 'POLICY_INVALID_TOPIC')
  const topicFilter = parsed(parseTopicFilter, 'POLICY_INVALID_TOPIC')
  const qos = fields.optional('qos', readQos, 0)
  const retain = fields.optional('retain', flag, false)
  const size = fields.optional('size', integer(0, maxPayloadBytes), 0)
  switch (action) {
    case 'publish':
    case 'will':
      return { action, topic: fields.required(action, topicName), qos, retain, size }
    case 'subscribe':
      return { action, filter: fields.required(action, topicFilter), qos }
    case 'receive':
      return { action, topic: fields.required(action, topicName) }
    case 'discover':
      return { action, offer: fields.required(action, readOffer) }
  }
}

/** What a broker refuses for without asking a policy, no test of a policy can expect. */
const beyondPolicy: readonly DenyReason[] = ['quota', 'response_topic', 'internal']
export const expectableReasons = denyReasons.filter((reason) => !beyondPolicy.includes(reason))
