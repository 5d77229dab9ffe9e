export { Clock, SystemClock } from './clock.js';
export { accept, type Accepted, type Decision, type DecisionStep, reject, type Rejected } from './decision.js';
export { FIRST_TIME, firstIdOf, LAST_TIME, lastIdOf } from './ids-of-time.js';
export { type Page, pageOf, type PageRequest } from './page.js';
export {
  type VersionConflict,
  asMember,
  secondOf,
  versionConflictOf,
  type VersionPrecondition,
  type Versions,
} from './version-precondition.js';
