export { describeAdministration } from './administration.js';
export { adminCases, type Administered, administrationOf } from './admin-cases.js';
export { ADMIN_ROUTES, answersOfAdminRoutes, expectedOfAdminRoutes } from './admin-routes.js';
export { type Block, blocksOf } from './blocks.js';
export { type CheckoutCopy, copyCheckout, shellEnvironment } from './checkout-copy.js';
export {
  anyone,
  AUTH_MODES,
  documentedSecurity,
  EVERYBODY,
  HEALTH_ROUTES,
  IDENTIFIED,
  managementRoutes,
  ITS_CUSTOMER,
  OPERATORS,
  PUBLIC,
  securityOf,
  type Statuses,
  statuses,
  type TestCaller,
  WHO_MAY_SEE_IT,
} from './callers.js';
export { allBlocks, blocksFor, EXCEPTIONS, RUNS } from './documented-blocks.js';
export { describeEdge } from './edge.js';
export { EventClient } from './event-client.js';
export { type CallOptions, type GrpcAnswer, type GrpcMethod, GrpcTestClient, GrpcTestStream } from './grpc.js';
export { expectCommittedDocument } from './committed-document.js';
export { describeGrpcCallers } from './grpc-callers.js';
export { type Answer, caller, customer, expectProblem, operator } from './http.js';
export { cutOff, type InProcessService, recordAnswers, startInProcess } from './in-process.js';
export { type EventExchange, type ReadEvent, startEventExchange } from './event-exchange.js';
export { MarkedFlow } from './marked-flow.js';
export { Marks } from './marks.js';
export { INVALID_LIMITS } from './invalid-limits.js';
export { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from './otlp-receiver.js';
export { describeRunningService } from './running-service.js';
export { type ServiceName } from '@twinbox/migrations/services';
export { createServiceDatabase, createServiceDatabaseIn, PASSWORDS } from './service-database.js';
export { type ServiceProcess, startRelay, startService, stopServices } from './service-process.js';
export { createServiceTopics, nameServiceTopics, type ServiceTopics } from './service-topics.js';
export { createWallClock, type WallClock, whyNoWallClock } from './wall-clock.js';
