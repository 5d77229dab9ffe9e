export { root } from './checkout.js';
export { type KafkaOptions, type KafkaServer, startKafka } from './servers/kafka.js';
export { SERVICE_HEAP } from './memory.js';
export { freePort, steadyPorts } from './servers/ports.js';
export { type PostgresOptions, type PostgresServer, startPostgres } from './servers/postgres.js';
export { type OpenApiDocument, type WorstInput, worstInputs } from './worst-inputs.js';
