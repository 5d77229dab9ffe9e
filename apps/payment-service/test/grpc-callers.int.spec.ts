import { PaymentRequestServiceService as Payments } from '@twinbox/contracts/grpc/payments';
import { describeGrpcCallers, IDENTIFIED, OPERATORS, WHO_MAY_SEE_IT } from '@twinbox/test-support';
import { paymentGrpc } from '../src/service.js';
import { type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

type State = 'pending' | 'refund due';

describeGrpcCallers<PaymentServiceHarness, State>({
  api: paymentGrpc,
  methods: [
    [Payments.getPaymentRequest, WHO_MAY_SEE_IT, (paymentRequestId) => ({ paymentRequestId }), 'pending'],
    [
      Payments.listPaymentRequests,
      IDENTIFIED,
      () => ({ pageSize: 1, pageToken: '', sort: 'PAYMENT_SORT_UNSPECIFIED', statuses: [] }),
      'pending',
    ],
    [Payments.markPaymentSucceeded, OPERATORS, (paymentRequestId) => ({ paymentRequestId }), 'pending'],
    [
      Payments.markPaymentFailed,
      OPERATORS,
      (paymentRequestId) => ({ paymentRequestId, reason: 'declined' }),
      'pending',
    ],
    [Payments.markPaymentRefunded, OPERATORS, (paymentRequestId) => ({ paymentRequestId }), 'refund due'],
    [
      Payments.getTimeline,
      WHO_MAY_SEE_IT,
      (paymentRequestId) => ({ paymentRequestId, pageSize: 0, pageToken: '' }),
      'pending',
    ],
  ],
  start: (env) => startPaymentService({ env }),
  async prepare(service, _, state) {
    const request = await service.aRequest({ customerId: 'ada' });
    if (state === 'refund due')
      // The gateway is no longer in use, so that nobody but an operator makes the refund.
      await service.database.sql(
        `update payments.payment_requests set status = 'REFUND_PENDING', gateway = 'gone' where id = $1`,
        [request.id],
      );
    return request.id;
  },
});
