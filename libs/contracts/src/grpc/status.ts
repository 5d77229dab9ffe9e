/** `google.rpc.Status` and its details, which gRPC answers carry in `grpc-status-details-bin`. Generated from `proto/google/rpc`. */
export * from '../generated/grpc/google/rpc/error_details.js';
export * from '../generated/grpc/google/rpc/status.js';
