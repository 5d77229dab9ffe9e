/** The messages and the service of `twinbox.payments.v1`. Generated from `proto/twinbox/payments/v1`. */
export * from '../generated/grpc/twinbox/common/v1/money.js';
export * from '../generated/grpc/twinbox/payments/v1/payment_request_service.js';
