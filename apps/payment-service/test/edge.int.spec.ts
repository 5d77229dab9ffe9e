import { describeEdge } from '@twinbox/test-support';
import { Webhook } from 'standardwebhooks';
import { startPaymentService } from './payment-service.harness.js';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

describe('payment-service', () => {
  describeEdge({
    start: () => startPaymentService({ config: { WEBHOOK_SECRET: SECRET } }),
    headersFor: (route, body) => (route.startsWith('/webhooks') ? signed(body) : admin),
  });
});

const admin = { 'x-user-id': 'root', 'x-roles': 'admin' };

function signed(body: string): Record<string, string> {
  const at = new Date();
  return {
    'webhook-id': 'msg_worst',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(SECRET).sign('msg_worst', at, body),
  };
}
