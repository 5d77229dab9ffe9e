export { type Block, blocksOf } from './blocks.js';
export { type CheckoutCopy, copyCheckout, shellEnvironment } from './checkout-copy.js';
export { describeEdge } from './edge.js';
export { type Answer, caller, customer, expectProblem, operator } from './http.js';
export { type InProcessService, startInProcess } from './in-process.js';
export { describeRunningService } from './running-service.js';
export { createServiceDatabase, createServiceDatabaseIn, PASSWORDS } from './service-database.js';
export { type ServiceName, type ServiceProcess, startRelay, startService, stopServices } from './service-process.js';
export { createServiceTopics, type ServiceTopics } from './service-topics.js';
