export { root } from './checkout.js';
export { startKafka } from './servers/kafka.js';
export { type KafkaOptions, type KafkaServer } from './servers/kafka-server.js';
export { ProgressReport } from './progress/progress-report.js';
export { SERVICE_HEAP } from './memory.js';
export { freePort, steadyPorts } from './servers/ports.js';
export { startPostgres } from './servers/postgres.js';
export { type PostgresOptions, type PostgresServer } from './servers/postgres-server.js';
export { type OpenApiDocument, type WorstInput, worstInputs } from './worst-inputs.js';
