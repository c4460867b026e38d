import { type App, createApp, type HttpOptions } from './app.js'
import { addApprovalRoutes } from './approval-routes.js'
import { addBackupRoutes } from './backup-routes.js'
import { addAttestRoutes } from './attest-routes.js'
import { addAuditRoutes } from './audit-routes.js'
import { addDeviceRoutes } from './device-routes.js'
import { addDiscoveryRoutes } from './discovery-routes.js'
import { addEstRoutes } from './est-routes.js'
import { addImportRoutes } from './import-routes.js'
import { addLockRoutes } from './lock-routes.js'
import { addJoinRoutes } from './join-routes.js'
import { addOidcRoutes } from './oidc-routes.js'
import { addOperatorJoinRoute, addOperatorRoutes } from './operator-routes.js'
import { addPolicyRoutes } from './policy-routes.js'
import { addPolicyVersionRoutes } from './policy-version-routes.js'
import { addPolicyStudyRoutes } from './policy-study-routes.js'
import { addPayloadRoutes } from './payload-routes.js'
import { closeQueuedAnswers } from './queued-answers.js'
import type { Service } from './service.js'
import { addSessionRoutes } from './session-routes.js'
import { addStatusRoutes } from './status-routes.js'
import { addTokenRoutes } from './token-routes.js'

const operatorFaces = [
  addStatusRoutes,
  addDeviceRoutes,
  addImportRoutes,
  addApprovalRoutes,
  addLockRoutes,
  addTokenRoutes,
  addOperatorRoutes,
  addSessionRoutes,
  addPolicyRoutes,
  addPolicyVersionRoutes,
  addPolicyStudyRoutes,
  addAttestRoutes,
  addAuditRoutes,
  addPayloadRoutes,
  addBackupRoutes,
] as const

/** Everything that is served over HTTPS: joining is open to strangers, all else to operators only. */
export async function createFaces(service: Service, options: HttpOptions): Promise<App> {
  const app = await createApp(options)
  closeQueuedAnswers(app)
  service.requests.watch(app)
  await app.register(async (strangers: App) => addJoinRoutes(strangers, service))
  await app.register(async (strangers: App) => addEstRoutes(strangers, service))
  await app.register(async (strangers: App) => addOidcRoutes(strangers, service))
  await app.register(async (strangers: App) => addDiscoveryRoutes(strangers, service))
  await app.register(async (strangers: App) => addOperatorJoinRoute(strangers, service))
  await app.register(async (operators: App) => {
    operators.addHook('onRequest', async (request) => service.operators.admit(request))
    // Whoever was thrown out while his body was on its way acts no more.
    operators.addHook('preHandler', async (request) => service.operators.requireStill(request))
    for (const addRoutes of operatorFaces) addRoutes(operators, service)
  })
  return app
}
