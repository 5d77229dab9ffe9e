import { type Docstring } from './docstrings.js';

/** Descriptions and examples of the fields that several events have, by name. The docstring of a field takes precedence. */
export const commonFields: Readonly<Record<string, Required<Docstring>>> = {
  orderId: {
    description: 'The id of the order, which is also the key of the message.',
    example: '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d',
  },
  customerId: { description: 'The id of the customer who placed the order.', example: 'ada' },
  paymentRequestId: {
    description: 'The id of the payment request.',
    example: '01939d3c-3b81-7a10-8c44-2f9d5e6a7b80',
  },
  total: { description: 'The amount to pay, in minor units of `currency` (cents).', example: 1998 },
  currency: {
    description: 'The ISO 4217 code of the currency, in use or withdrawn. It is published in capitals.',
    example: 'EUR',
  },
  reason: { description: 'Why it happened, in words.', example: 'The card was declined.' },
  actor: { description: 'Who caused the event, as `role:name` or just the role.', example: 'operator:grace' },
  expiresAt: {
    description: 'When the payment request expires, as in RFC 3339.',
    example: '2026-11-21T09:45:00.000Z',
  },
};
