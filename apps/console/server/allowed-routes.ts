/** A method and a path that pages may use. Names after a colon stand for one segment. */
export type AllowedRoute = readonly [method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string];

/** The administration of messaging, which both services have. */
const ADMINISTRATION: readonly AllowedRoute[] = [
  ['GET', '/admin/messaging'],
  ['GET', '/admin/messaging/aggregates/:id'],
  ['GET', '/admin/messaging/audit'],
  ['GET', '/admin/messaging/audit/:id'],
  ['GET', '/admin/messaging/dead-jobs'],
  ['GET', '/admin/messaging/dead-jobs/causes'],
  ['GET', '/admin/messaging/dead-jobs/:id'],
  ['POST', '/admin/messaging/dead-jobs/:id/discard'],
  ['POST', '/admin/messaging/dead-jobs/:id/edit'],
  ['POST', '/admin/messaging/dead-jobs/:id/retry'],
  ['GET', '/admin/messaging/dead-letters'],
  ['GET', '/admin/messaging/dead-letters/causes'],
  ['GET', '/admin/messaging/dead-letters/:box/:id'],
  ['POST', '/admin/messaging/dead-letters/:box/:id/discard'],
  ['POST', '/admin/messaging/dead-letters/:box/:id/edit'],
  ['POST', '/admin/messaging/dead-letters/:box/:id/retry'],
  ['GET', '/admin/messaging/inbox-records'],
  ['GET', '/admin/messaging/incidents'],
  ['POST', '/admin/messaging/incidents/:id/acknowledge'],
  ['GET', '/admin/messaging/operations'],
  ['POST', '/admin/messaging/operations'],
  ['GET', '/admin/messaging/operations/:id'],
  ['POST', '/admin/messaging/operations/:id/cancel'],
  ['GET', '/admin/messaging/parked'],
  ['GET', '/admin/messaging/parked/:box/:id'],
  ['GET', '/admin/messaging/pauses'],
  ['PUT', '/admin/messaging/pauses/:kind/:name'],
  ['DELETE', '/admin/messaging/pauses/:kind/:name'],
  ['GET', '/health/messaging'],
];

/**
 * What the console forwards to each service. Everything else is a 404: webhooks, whose callers sign them, stream tickets, which would be
 * tokens in the hands of a script, documentation and metrics.
 */
export const ALLOWED_ROUTES = {
  orders: [
    ['GET', '/orders'],
    ['POST', '/orders'],
    ['GET', '/orders/events'],
    ['GET', '/orders/:orderId'],
    ['POST', '/orders/:orderId/cancel'],
    ['GET', '/orders/:orderId/events'],
    ['POST', '/orders/:orderId/finish'],
    ['POST', '/orders/:orderId/items'],
    ['PATCH', '/orders/:orderId/items/:productId'],
    ['DELETE', '/orders/:orderId/items/:productId'],
    ['POST', '/orders/:orderId/place'],
    ['GET', '/orders/:orderId/timeline'],
    ['GET', '/products'],
    ['GET', '/products/:productId'],
    ['PUT', '/products/:productId'],
    ...ADMINISTRATION,
  ],
  payments: [
    ['GET', '/payment-requests'],
    ['GET', '/payment-requests/:paymentRequestId'],
    ['POST', '/payment-requests/:paymentRequestId/fail'],
    ['POST', '/payment-requests/:paymentRequestId/refunded'],
    ['POST', '/payment-requests/:paymentRequestId/succeed'],
    ['GET', '/payment-requests/:paymentRequestId/timeline'],
    ...ADMINISTRATION,
  ],
} as const satisfies Readonly<Record<string, readonly AllowedRoute[]>>;

/** A service as the pages name it. */
export type ApiName = keyof typeof ALLOWED_ROUTES;
