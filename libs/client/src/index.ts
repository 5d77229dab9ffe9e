// Calls
export { type Answer, type Call, type Outcome } from './call.js';
export { type CallOptions, type ClientOptions, type Idempotency, type Preconditions } from './options.js';
export { type Role, type TokenProvider } from './options.js';
export { type Page, Pages } from './pages.js';
export { type EventsOptions, type Received } from './events.js';

// Errors
export {
  type CodeOf,
  isProblem,
  type ProblemDocument,
  type ProblemOf,
  type SentRequest,
  TwinboxConnectionError,
  TwinboxProblem,
  type Violation,
} from './errors.js';
