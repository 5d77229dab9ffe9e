export { type Answer, caller, customer, operator } from './http.js';
export { createServiceDatabase, PASSWORDS } from './service-database.js';
export { type ServiceName, type ServiceProcess, startService, stopServices } from './service-process.js';
export { createServiceTopics, type ServiceTopics } from './service-topics.js';
