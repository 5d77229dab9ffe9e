/** The messages and the service of `grpc.reflection.v1`. Those of `v1alpha` are the same on the wire. Generated from `proto/grpc/reflection`. */
export * from '../generated/grpc/grpc/reflection/v1/reflection.js';
