import { paymentRequestSchema } from './payment-request-schema.js';

export const entities = [paymentRequestSchema];
