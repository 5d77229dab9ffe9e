export { createApp, runService, type Service } from './bootstrap.js';
export {
  actorOf,
  AnonymousAllowed,
  Caller,
  isOperator,
  OptionalCaller,
  Public,
  RequireRole,
  type Role,
} from './caller.js';
export { Cause } from './http/cause.js';
export {
  ConfigError,
  EnvDuration,
  EnvDurationOrOff,
  EnvFraction,
  EnvInt,
  EnvName,
  EnvNotInProduction,
  EnvOneOf,
  EnvOptionalSecret,
  EnvOptionalUrl,
  EnvOtherThan,
  loadConfig,
  ServiceConfig,
} from './config.js';
export { CursorCodec, CursorPageQuery } from './cursor-codec.js';
export { type Column, Columns } from './database/columns.js';
export { createDataSource, databaseModule, type DatabaseOptions, MESSAGING_DATA_SOURCE } from './database.js';
export { ApiEventStream, EventStream, LastEventId, openEventStream, type ServerSentEvent } from './event-stream.js';
export { HealthModule, MessagingProbe } from './health.js';
export { IdempotencyKey } from './idempotency-key.js';
export { idempotencyKeyRoles, idempotencyTable } from './idempotency-store.js';
export { LockGate } from './lock-gate.js';
export { type LogFields, logContext, loggerModule, withLogContext } from './logging.js';
export { logMessages } from './message-log.js';
export { ApiConstraint } from './validated-schemas.js';
export { MetricsModule, MetricsSource } from './metrics.js';
export { ApiProblems, etagHeader, openApiDocument, openApiGaps, type OpenApiInfo, setupOpenApi } from './openapi.js';
export { PageQuery } from './page-query.js';
export { IgnoreQuery } from './query-guard.js';
export { QueryAmount, QueryFlag, QueryInt, QueryList, QueryTime } from './query-fields.js';
export { problemOf, ProblemException, type ProblemTable, serviceStopping, stateOrProblem } from './problem.js';
export { parseJson, RawBody } from './raw-body.js';
export { type Answer, storedAnswerProblems, UnitOfWork } from './unit-of-work.js';
export { UnitOfWorkModule } from './unit-of-work.module.js';
export { InCapitals, IsAmount, IsId, IsText, IsWholeNumber, MayBeAbsent, MayBeAbsentOrNull } from '@twinbox/fields';
export { NoBody, validationProblem } from './validation.js';
export { conditionalAnswer, etagOf, Preconditions, versionConflict } from './versions.js';
