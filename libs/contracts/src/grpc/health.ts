/** The standard health service of `grpc.health.v1`. Generated from `proto/grpc/health`. */
export * from '../generated/grpc/grpc/health/v1/health.js';
