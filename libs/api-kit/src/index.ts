// Starting and stopping
export { createApp } from './app/create-app.js';
export { runRelay } from './app/run-relay.js';
export { runService, type Service } from './app/run-service.js';

// Configuration by environment variables
export {
  EnvDiffersFrom,
  EnvDuration,
  EnvDurationOrOff,
  EnvFraction,
  EnvInt,
  EnvName,
  EnvNotInProduction,
  EnvOneOf,
  EnvOptionalCertificates,
  EnvOptionalSecret,
  EnvOptionalUrl,
  EnvPortOrOff,
} from './app/env.js';
export { ConfigError, loadConfig } from './app/load-config.js';
export { kafkaSecurity } from './app/kafka-security.js';
export { optionalSecretOf, secretOf } from './app/secret-files.js';
export { ServiceConfig } from './app/service-config.js';

// Who makes a request, and who may
export { AnonymousAllowed, Public, RequireRole } from './http/caller-guard.js';
export { actorOf, actorSeenBy, Caller, isOperator, OptionalCaller, type Role } from './http/caller.js';

// What a request contains
export { type AnswerHeaders } from './http/edge-request.js';
export { InCapitals, IsAmount, IsId, IsText, IsWholeNumber, MayBeAbsent, MayBeAbsentOrNull } from '@twinbox/fields';
export { Cause } from './http/cause.js';
export { ApiNextCursor, CursorCodec, CursorPageQuery, PageQuery } from './http/pages.js';
export { QueryAmount, QueryFlag, QueryInt, QueryList, QueryTime } from './http/query-fields.js';
export { IgnoreQuery } from './http/query-guard.js';
export { parseJson, RawBody } from './http/raw-body.js';
export { validationProblem } from './http/validation-problem.js';
export { NoBody } from './http/validation.js';

// Problems
export { serviceStopping } from './http/common-problems.js';
export { problemDocument, problemOf, ProblemException, type ProblemTable, stateOrProblem } from './http/problem.js';

// Versions and preconditions
export { conditionalPage } from './http/conditional-page.js';
export { conditionalResponse } from './http/conditional-response.js';
export { PagePreconditions, Preconditions } from './http/preconditions.js';
export { etagOf, versionConflict } from './http/versions.js';

// Changes, once per idempotency key
export { IdempotencyKey } from './idempotency/idempotency-key.js';
export { idempotencyKeyRoles, idempotencyTable } from './idempotency/idempotency-store.js';
export { IdempotencyMetrics } from './idempotency/idempotency-metrics.js';
export { UnitOfWorkModule } from './idempotency/unit-of-work.module.js';
export { requestSignal, withRequestSignal } from './app/request-signal.js';
export { type Answer, storedAnswerProblems, UnitOfWork } from './idempotency/unit-of-work.js';

// Server-sent events
export { ApiEventStream, LastEventId } from './http/event-stream-route.js';
export { EventStream, openEventStream } from './http/event-stream.js';
export { AcceptsTicket, ticketOf } from './http/stream-ticket.js';
export { TicketGate } from './http/ticket-gate.js';
export { randomPause, type ServerSentEvent } from './http/server-sent-event.js';

// gRPC
export { connectGrpc, type GrpcApi } from './grpc/connect-grpc.js';
export { AnswerMetadata, Exchange } from './grpc/exchange.js';
export { Fields, QueryFields, type QueryText } from './grpc/fields.js';
export { GrpcEdge } from './grpc/grpc-edge.js';
export { pageQuery, type PageRequest, timeText } from './grpc/query-text.js';
export { Responses, ResponseStream } from './grpc/response-stream.js';

// The database
export { BoundedClient } from './database/bounded-client.js';
export { type Column, Columns } from './database/columns.js';
export { commandLineDataSource } from './database/command-line-data-source.js';
export type { DatabaseOptions } from './database/database-options.js';
export { databaseModule, MESSAGING_DATA_SOURCE } from './database/database.module.js';
export { classifyDatabaseError, type DatabaseProblemCode } from './database/database-errors.js';
export { Housekeeper } from './database/housekeeper.js';
export { createDataSource } from './database/lazy-data-source.js';
export { LockGate } from './database/lock-gate.js';
export { Slots } from './database/slots.js';

// The OpenAPI document
export { ApiProblems } from './http/openapi/api-problems.js';
export { openApiGaps } from './http/openapi/completeness.js';
export { openApiDocument, type OpenApiInfo, setupOpenApi } from './http/openapi/document.js';
export { etagHeader } from './http/openapi/response-headers.js';
export { ApiConstraint } from './http/openapi/validated-schemas.js';

// Logs, health and metrics
export { MessagingProbe } from './app/health.controller.js';
export { HealthModule } from './app/health.module.js';
export { type LogFields, logContext, loggerModule, withLogContext } from './app/logging.js';
export { logMessages } from './app/message-log.js';
export { type SecurityEvent, SecurityEvents } from './app/security-events.js';
export { addDatabaseGauges, readForGauges } from './app/database-gauges.js';
export { MetricsModule, MetricsSource } from './app/metrics.js';

// Administration of messaging
export { AdminModule } from './admin/admin.module.js';
