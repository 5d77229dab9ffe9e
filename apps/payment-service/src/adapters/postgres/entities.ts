import { paymentRequestSchema } from './payment-request-table.js';

export const entities = [paymentRequestSchema];
