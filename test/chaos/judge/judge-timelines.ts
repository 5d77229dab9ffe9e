import { type Facts, type StepFact } from './facts.js';
import { excusedKeys } from './judge-rest.js';

/** For each type of step, the status before it and the status after it. */
type Transitions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The status before the first step. */
const NOTHING = 'nothing';
const same = (...statuses: string[]) => Object.fromEntries(statuses.map((status) => [status, status]));

const ORDER_TRANSITIONS: Transitions = {
  OrderOpened: { [NOTHING]: 'DRAFT' },
  ItemAdded: same('DRAFT'),
  ItemRemoved: same('DRAFT'),
  OrderDiscarded: { DRAFT: 'CANCELLED' },
  OrderPlaced: { [NOTHING]: 'PLACED', DRAFT: 'PLACED' },
  PaymentRequested: { PLACED: 'PAYMENT_PENDING' },
  PaymentSucceeded: same('PLACED', 'PAYMENT_PENDING'),
  PaymentFailed: same('PLACED', 'PAYMENT_PENDING'),
  OrderCompleted: { PLACED: 'COMPLETED', PAYMENT_PENDING: 'COMPLETED' },
  OrderCancelled: { PLACED: 'CANCELLED', PAYMENT_PENDING: 'CANCELLED' },
  OrderFinished: { COMPLETED: 'FINISHED' },
  PaymentCancelled: same('CANCELLED'),
  PaymentRefunded: same('CANCELLED'),
  MessagePassedOver: same('PLACED', 'PAYMENT_PENDING', 'COMPLETED', 'FINISHED', 'CANCELLED'),
};

const PAYMENT_TRANSITIONS: Transitions = {
  PaymentRequested: { [NOTHING]: 'PENDING' },
  PaymentSucceeded: { PENDING: 'SUCCEEDED' },
  PaymentFailed: { PENDING: 'FAILED' },
  PaymentCancelled: { PENDING: 'CANCELLED' },
  RefundRequested: { SUCCEEDED: 'REFUND_PENDING' },
  LatePaymentReceived: { FAILED: 'REFUND_PENDING', CANCELLED: 'REFUND_PENDING' },
  PaymentRefunded: { REFUND_PENDING: 'REFUNDED' },
};
/** The lines of a payment's timeline that do not change the payment. */
const NOTES = new Set(['OrderCancelled', 'MessagePassedOver']);

/** The types of steps that are published, by topic. */
export const PUBLISHED: Readonly<Record<string, readonly string[]>> = {
  'order.events': ['OrderPlaced', 'OrderCompleted', 'OrderCancelled', 'OrderFinished'],
  'payment.events': ['PaymentRequested', 'PaymentSucceeded', 'PaymentFailed', 'PaymentCancelled', 'PaymentRefunded'],
};

/** P4: each step is a valid transition from the previous one, each change increments the version, and the last step matches the order. */
export function timelinesAreValid({ orders, orderSteps, paymentRequests, paymentSteps }: Facts): string[] {
  const stepsOfOrder = Map.groupBy(orderSteps, ({ orderId }) => orderId);
  const stepsOfPayment = Map.groupBy(paymentSteps, ({ orderId }) => orderId);
  return [
    ...orders.flatMap((order) =>
      checkTimeline(`order ${order.id}`, order, stepsOfOrder.get(order.id) ?? [], ORDER_TRANSITIONS),
    ),
    ...paymentRequests.flatMap((request) =>
      checkTimeline(
        `payment request ${request.id}`,
        request,
        stepsOfPayment.get(request.orderId) ?? [],
        PAYMENT_TRANSITIONS,
        NOTES,
      ),
    ),
  ];
}

function checkTimeline(
  what: string,
  end: { readonly status: string; readonly version: number },
  steps: readonly StepFact[],
  transitions: Transitions,
  notes: ReadonlySet<string> = new Set(),
): string[] {
  let [status, version] = [NOTHING, 0];
  const findings = [];
  for (const step of steps) {
    const isNote = notes.has(step.type);
    const validStatus = isNote ? status : transitions[step.type]?.[status];
    const validVersion = isNote ? version : version + 1;
    if (step.status !== validStatus || step.version !== validVersion)
      findings.push(
        `${what} went from ${status}, version ${version}, through ${step.type} to ${step.status}, version ${step.version}`,
      );
    [status, version] = [step.status ?? NOTHING, step.version ?? version];
  }
  if (status !== end.status || version !== end.version)
    findings.push(
      `${what} is ${end.status} in version ${end.version}, but its timeline ends with ${status}, version ${version}`,
    );
  return findings;
}

/** P4: a consumer writes exactly one line for each message, whatever its effect and however often it is delivered. */
export function messagesAreProcessedOnce(facts: Facts): string[] {
  const { outbox, orderSteps, paymentSteps } = facts;
  const consumers = [
    { topic: 'payment.events', types: PUBLISHED['payment.events'], steps: orderSteps, consumer: 'order-service' },
    {
      topic: 'order.events',
      types: ['OrderPlaced', 'OrderCancelled'],
      steps: paymentSteps,
      consumer: 'payment-service',
    },
  ];
  return consumers.flatMap(({ topic, types, steps, consumer }) => {
    const excused = excusedKeys(facts, [consumer]);
    const lines = countBy(steps.flatMap(({ messageId }) => messageId ?? []));
    return outbox
      .filter((row) => row.topic === topic && types?.includes(row.type))
      .map((row) => ({ ...row, count: lines.get(row.id) ?? 0 }))
      .filter(({ key, count }) => count > 1 || (count === 0 && !excused.has(key)))
      .map(({ type, key, count }) => `${consumer} processed ${type} of order ${key} ${count} times`);
  });
}

/** P4: each step happens once per order, no matter who requested it or how often. */
export function stepsHappenOnce({ orderSteps, paymentSteps }: Facts): string[] {
  const repeatable = new Set(['ItemAdded', 'ItemRemoved', 'MessagePassedOver']);
  return [orderSteps, paymentSteps].flatMap((steps) =>
    [
      ...countBy(
        steps.filter(({ type }) => !repeatable.has(type)).map(({ type, orderId }) => `${type} of order ${orderId}`),
      ),
    ]
      .filter(([, count]) => count > 1)
      .map(([step, count]) => `${step} happened ${count} times`),
  );
}

function countBy(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
