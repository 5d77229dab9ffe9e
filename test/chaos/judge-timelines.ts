import { type Facts, type StepFact } from './facts.js';
import { keysOfExplained } from './judge-rest.js';

/** From which status a step may lead to which other. */
type Ways = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Before the first step. */
const NOTHING = 'nothing';
const same = (...statuses: string[]) => Object.fromEntries(statuses.map((status) => [status, status]));

const ORDER_WAYS: Ways = {
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

const PAYMENT_WAYS: Ways = {
  PaymentRequested: { [NOTHING]: 'PENDING' },
  PaymentSucceeded: { PENDING: 'SUCCEEDED' },
  PaymentFailed: { PENDING: 'FAILED' },
  PaymentCancelled: { PENDING: 'CANCELLED' },
  RefundRequested: { SUCCEEDED: 'REFUND_PENDING' },
  LatePaymentReceived: { FAILED: 'REFUND_PENDING', CANCELLED: 'REFUND_PENDING' },
  PaymentRefunded: { REFUND_PENDING: 'REFUNDED' },
};
/** Lines of a payment's timeline that tell of no change of it. */
const NOTES = new Set(['OrderCancelled', 'MessagePassedOver']);

/** The steps that are published, by topic. */
export const PUBLISHED: Readonly<Record<string, readonly string[]>> = {
  'order.events': ['OrderPlaced', 'OrderCompleted', 'OrderCancelled', 'OrderFinished'],
  'payment.events': ['PaymentRequested', 'PaymentSucceeded', 'PaymentFailed', 'PaymentCancelled', 'PaymentRefunded'],
};

/** P4: each step leads on from the last, each change counts one version, and the last step is where the order stands. */
export function timelinesAreLawful({ orders, orderSteps, paymentRequests, paymentSteps }: Facts): string[] {
  const stepsOfOrder = Map.groupBy(orderSteps, ({ orderId }) => orderId);
  const stepsOfPayment = Map.groupBy(paymentSteps, ({ orderId }) => orderId);
  return [
    ...orders.flatMap((order) => walk(`order ${order.id}`, order, stepsOfOrder.get(order.id) ?? [], ORDER_WAYS)),
    ...paymentRequests.flatMap((request) =>
      walk(`payment request ${request.id}`, request, stepsOfPayment.get(request.orderId) ?? [], PAYMENT_WAYS, NOTES),
    ),
  ];
}

function walk(
  what: string,
  end: { readonly status: string; readonly version: number },
  steps: readonly StepFact[],
  ways: Ways,
  notes: ReadonlySet<string> = new Set(),
): string[] {
  let [status, version] = [NOTHING, 0];
  const findings = [];
  for (const step of steps) {
    const isNote = notes.has(step.type);
    const lawful = isNote ? status : ways[step.type]?.[status];
    const counted = isNote ? version : version + 1;
    if (step.status !== lawful || step.version !== counted)
      findings.push(
        `${what} went from ${status}, version ${version}, by ${step.type} to ${step.status}, version ${step.version}`,
      );
    [status, version] = [step.status ?? NOTHING, step.version ?? version];
  }
  if (status !== end.status || version !== end.version)
    findings.push(
      `${what} is ${end.status} in version ${end.version}, its timeline ends with ${status}, version ${version}`,
    );
  return findings;
}

/** P4: whoever hears a message writes one line of it, whatever it means, and however often it is delivered. */
export function messagesWereHeardOnce(facts: Facts): string[] {
  const { outbox, orderSteps, paymentSteps } = facts;
  const hearing = [
    { topic: 'payment.events', types: PUBLISHED['payment.events'], steps: orderSteps, consumer: 'order-service' },
    {
      topic: 'order.events',
      types: ['OrderPlaced', 'OrderCancelled'],
      steps: paymentSteps,
      consumer: 'payment-service',
    },
  ];
  return hearing.flatMap(({ topic, types, steps, consumer }) => {
    const excused = keysOfExplained(facts, [consumer]);
    const lines = countBy(steps.flatMap(({ messageId }) => messageId ?? []));
    return outbox
      .filter((row) => row.topic === topic && types?.includes(row.type))
      .map((row) => ({ ...row, count: lines.get(row.id) ?? 0 }))
      .filter(({ key, count }) => count > 1 || (count === 0 && !excused.has(key)))
      .map(({ type, key, count }) => `${consumer} has heard ${type} of order ${key} ${count} times`);
  });
}

/** P4: once a step means once an order, whoever asked for it and however often. */
export function stepsHappenedOnce({ orderSteps, paymentSteps }: Facts): string[] {
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
