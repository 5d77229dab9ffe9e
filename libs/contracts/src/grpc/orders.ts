/** The messages and services of `twinbox.orders.v1`. Generated from `proto/twinbox/orders/v1`. */
export * from '../generated/grpc/twinbox/common/v1/money.js';
export * from '../generated/grpc/twinbox/orders/v1/order.js';
export * from '../generated/grpc/twinbox/orders/v1/order_service.js';
export * from '../generated/grpc/twinbox/orders/v1/product_service.js';
