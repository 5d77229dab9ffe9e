export { root } from './checkout.js';
export { type KafkaOptions, type KafkaServer, startKafka } from './kafka.js';
export { SERVICE_HEAP } from './memory.js';
export { freePort, steadyPorts } from './ports.js';
export { type PostgresOptions, type PostgresServer, startPostgres } from './postgres.js';
export { type OpenApiDocument, type WorstInput, worstInputs } from './worst-inputs.js';
