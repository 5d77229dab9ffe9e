import { paymentRequestSchema } from './payment-request-schema.js';

/** Every table that the service maps. */
export const entities = [paymentRequestSchema];
