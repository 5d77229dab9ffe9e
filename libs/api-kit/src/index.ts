export { createApp, runService, type Service } from './bootstrap.js';
export { Caller, Public, RequireRole, type Role } from './caller.js';
export { ConfigError, EnvInt, EnvName, EnvOneOf, loadConfig, ServiceConfig } from './config.js';
export { createDataSource, databaseModule, type DatabaseOptions } from './database.js';
export { HealthModule, MessagingProbe } from './health.js';
export { type LogFields, logContext, loggerModule, withLogContext } from './logging.js';
export { logMessages } from './message-log.js';
export { ApiProblems, openApiDocument, openApiGaps, type OpenApiInfo, setupOpenApi } from './openapi.js';
export { problemOf, ProblemException, type ProblemTable, stateOrProblem } from './problem.js';
