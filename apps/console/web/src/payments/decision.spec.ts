import { decisionText, reasonAgainst } from './decision.js';

it('says who was faster, and how', () => {
  const failed = { status: 'FAILED', decidedBy: 'grace', reason: 'card declined' } as const;

  expect(decisionText(failed, 'ops')).toBe('grace marked this payment as failed: card declined');
  expect(decisionText({ ...failed, status: 'SUCCEEDED', reason: null }, 'grace')).toBe(
    'You marked this payment as succeeded.',
  );
  expect(decisionText({ ...failed, decidedBy: 'system', reason: 'expired' })).toBe(
    'This payment expired before anybody decided it.',
  );
});

it('offers a result only while the payment is pending, and a refund only when one is due', () => {
  const pending = { status: 'PENDING', decidedBy: null, reason: null } as const;
  const due = { ...pending, status: 'REFUND_PENDING' } as const;

  expect([reasonAgainst('succeed', pending), reasonAgainst('refunded', pending)]).toEqual([
    undefined,
    'No refund is due.',
  ]);
  expect([reasonAgainst('fail', due), reasonAgainst('refunded', due)]).toEqual([
    'The payment is to be refunded',
    undefined,
  ]);
});
