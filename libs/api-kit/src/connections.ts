// What commands need to connect to PostgreSQL and Kafka like a service, without the rest of the kit.
export { isProduction } from './app/env.js';
export { KafkaConfig } from './app/kafka-config.js';
export { kafkaOptions } from './app/kafka-security.js';
export { ConfigError, loadConfig } from './app/load-config.js';
export { readGiven } from './app/secret-files.js';
