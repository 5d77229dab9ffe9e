import { type ShownStep, stationsOf, withSteps } from './order-progress.js';

const aStep = (position: number, status: ShownStep['status'] = 'PLACED'): ShownStep => ({
  position,
  type: 'OrderPlaced',
  status,
  version: 1,
  at: '2026-12-01T08:00:00Z',
  actor: 'customer:ada',
  detail: null,
});

const labels = (stations: ReturnType<typeof stationsOf>) => stations.map(({ label, state }) => `${label}: ${state}`);

describe('the steps of an order', () => {
  it('are shown once, although the stream repeats some of the timeline', () => {
    const shown = withSteps([aStep(1), aStep(2)], [aStep(2), aStep(3), aStep(3)]);

    expect(shown.map(({ position }) => position)).toEqual([1, 2, 3]);
  });

  it('are in their order, although the timeline arrives after the first event', () => {
    expect(withSteps([aStep(7)], [aStep(1), aStep(4)]).map(({ position }) => position)).toEqual([1, 4, 7]);
  });

  it('stay the same list if nothing is new', () => {
    const shown = [aStep(1)];

    expect(withSteps(shown, [aStep(1)])).toBe(shown);
  });
});

describe('the way of an order', () => {
  it('shows what is done, what happens now, and what comes next', () => {
    expect(labels(stationsOf('PAYMENT_PENDING', []))).toEqual([
      'Placed: done',
      'Waiting for payment: current',
      'Paid: ahead',
      'Delivered: ahead',
    ]);
  });

  it('ends where the order was cancelled', () => {
    expect(labels(stationsOf('CANCELLED', [aStep(1), aStep(2, 'PAYMENT_PENDING'), aStep(3, 'CANCELLED')]))).toEqual([
      'Placed: done',
      'Waiting for payment: done',
      'Cancelled: failed',
    ]);
  });
});
