import { type DashboardPlan, shared } from './panels.js';

export const ordersAndPayments: DashboardPlan = {
  uid: 'twinbox-orders-and-payments',
  title: 'Twinbox: orders and payments',
  description: 'What the business sees: orders and payment requests by status, and what takes too long.',
  rows: [
    {
      title: 'Orders',
      panels: [
        {
          title: 'Orders by status',
          description: 'Up to 10,000 of a status are counted; more are estimated from the statistics of PostgreSQL.',
          queries: [shared('orders', 'status', '{{status}}')],
        },
        {
          title: 'Late orders',
          description: 'They have waited too long for their payment request or for its result.',
          queries: [shared('orders_late', 'status', '{{status}}')],
        },
      ],
    },
    {
      title: 'Payments',
      panels: [
        {
          title: 'Payment requests',
          description: 'By status and gateway.',
          queries: [shared('payment_requests', 'status, gateway', '{{status}} {{gateway}}')],
        },
        {
          title: 'Age of the oldest pending refund',
          description: 'RefundPendingTooLong fires beyond an hour.',
          unit: 's',
          queries: [shared('payment_refunds_oldest_pending_age_seconds', 'gateway', '{{gateway}}')],
        },
        {
          title: 'Contradicting webhooks',
          description: 'Results of the payment provider that differ from what is recorded.',
          unit: 'ops',
          queries: [
            { expr: 'sum by (job) (rate(payment_webhooks_mismatched_total[$__rate_interval]))', legend: '{{job}}' },
          ],
        },
      ],
    },
  ],
};
