/** Quotas of order-service for load and tests in which one customer stands for many. */
export const QUOTAS_FOR_LOAD = {
  MAX_DRAFTS: '1000000',
  MAX_UNPAID_ORDERS: '1000000',
  MAX_HELD_PIECES: '1000000000',
  MAX_HELD_SHARE: '1',
} as const;
