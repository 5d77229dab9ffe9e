export { Clock, SystemClock } from './clock.js';
export { accept, type Accepted, type Decision, reject, type Rejected } from './decision.js';
export { type Page, pageOf, type PageRequest } from './page.js';
