import type { AuditEventName } from '#protocol'
import type { Record } from '../commands/audit/record.js'
import { encodeJson } from '../output.js'

/**
 * A record in a CloudEvents 1.0 envelope, JSON form (https://cloudevents.io). `source` and `id` name it among all records
 * of all logs; who receives it twice knows it by them.
 */
export function encodeCloudEvent(record: Record, origin: string): string {
  const { event, time, sequence, device, operator } = record
  const subject = device ?? operator
  const [classUid, activity] = isClassified(event) ? ocsf[event] : []
  return encodeJson({
    specversion: '1.0',
    id: `${origin}/${sequence}`,
    source: `//${encodeURI(origin)}`,
    type: `io.touchmark.audit.${event}`,
    time,
    ...(typeof subject === 'string' && { subject }),
    datacontenttype: 'application/json',
    // Extension attributes are lowercase letters and digits only, CloudEvents §3.1.1.
    ...(classUid !== undefined &&
      activity !== undefined && { ocsfclass: classUid, ocsftype: classUid * 100 + activity }),
    data: record,
  })
}

const accountChange = 3001
const authentication = 3002
const entityManagement = 3004
const applicationLifecycle = 6002
const apiActivity = 6003

/** The class and activity of the Open Cybersecurity Schema Framework, for events that one of them means. */
const ocsf = {
  'session.connect': [authentication, 1], // logon
  'session.refuse': [authentication, 1],
  'session.end': [authentication, 2], // logoff
  'join.refuse': [authentication, 1],
  'operator.refuse': [authentication, 1],
  'operator.issue': [accountChange, 1], // create
  'device.register': [entityManagement, 1], // create
  'device.enroll': [entityManagement, 1],
  'device.renew': [entityManagement, 3], // update
  'device.promote': [entityManagement, 3],
  'device.label': [entityManagement, 3],
  'device.revoke': [entityManagement, 3],
  'token.create': [entityManagement, 1],
  'token.revoke': [entityManagement, 4], // delete
  'policy.activate': [entityManagement, 3],
  'server.start': [applicationLifecycle, 3],
  'server.stop': [applicationLifecycle, 4],
  'message.publish': [apiActivity, 1], // create
  'message.deliver': [apiActivity, 2], // read
  'audit.read': [apiActivity, 2],
  'services.discover': [apiActivity, 2],
} as const satisfies { readonly [Event in AuditEventName]?: readonly [classUid: number, activity: number] }

function isClassified(event: string): event is keyof typeof ocsf {
  return Object.hasOwn(ocsf, event)
}
