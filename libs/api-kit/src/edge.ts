// What a server without Nest's container and without a database shares with the services.

// Configuration
export { configOrExit } from './app/config-or-exit.js';
export {
  EnvDuration,
  EnvInt,
  EnvList,
  EnvNotInProduction,
  EnvOneOf,
  EnvOptionalUrl,
  isProduction,
  MS,
} from './app/env.js';
export { addressProblemsOf, type ChecksItself, ConfigError, devProblemOf, loadConfig } from './app/load-config.js';
export { MayBeAbsent } from '@twinbox/fields';
export { optionalSecretOf } from './app/secret-files.js';

// Starting and stopping
export { CannotListen, listenAt } from './app/cannot-listen.js';
export { closeConnectionsWhenIdle } from './http/close-connections.js';
export { closeOnSignal, exitOnUncaught } from './app/close-on-signal.js';

// Requests
export { hostCheck } from './http/host-check.js';
export { isHostName, isLoopback } from './http/loopback.js';
export { type Role } from './http/caller.js';
export { commonProblems, codeOfStatus } from './http/common-problems.js';
export { type Problem, PROBLEM_JSON, problemDocument, ProblemException } from './http/problem.js';

// Tokens
export { type ClaimNames, claimOf, grantedRoles, roleMappingOf } from './identity/token-claims.js';

// Logs
export { createLogger, requestIdOf } from './app/logging.js';
export { loggableUrl } from './app/loggable-url.js';
export { isMonitoring } from './http/operational-path.js';
