import { type Facts } from './facts.js';
import { excusedKeys } from './judge-rest.js';

const COMPLETED = new Set(['COMPLETED', 'FINISHED']);
/** The payment steps that record incoming money. */
const INCOMING = ['PaymentSucceeded', 'LatePaymentReceived'];
/** The payment steps that record returned money. */
const OUTGOING = ['PaymentRefunded'];

export function onePaymentRequestPerOrder(facts: Facts): string[] {
  const { orders, orderSteps, paymentRequests } = facts;
  // payment-service cannot request payment for an order whose message it has not processed.
  const excused = excusedKeys(facts, ['payment-service']);
  const placed = new Set(orderSteps.filter(({ type }) => type === 'OrderPlaced').map(({ orderId }) => orderId));
  const byOrder = Map.groupBy(paymentRequests, ({ orderId }) => orderId);
  const findings = orders.flatMap(({ id, customerId, total }) => {
    const requests = byOrder.get(id) ?? [];
    if (requests.length === 0 && (excused.has(id) || !placed.has(id))) return [];
    if (requests.length !== 1) return [`order ${id} has ${requests.length} payment requests`];
    const [request] = requests;
    return request?.amount === total && request.customerId === customerId
      ? []
      : [`the payment request of order ${id} has a different amount or customer`];
  });
  const ids = new Set(orders.map(({ id }) => id));
  const unknown = paymentRequests.filter(({ orderId }) => !ids.has(orderId));
  return [...findings, ...unknown.map(({ id }) => `payment request ${id} belongs to no order`)];
}

/** Every accepted result of an operator is in the history of the payment, whatever happened later. */
export function acceptedResultsAreRecorded({ decisions, paymentRequests, paymentSteps }: Facts): string[] {
  const orderOf = new Map(paymentRequests.map(({ id, orderId }) => [id, orderId]));
  const results = new Set(paymentSteps.map(({ type, orderId }) => `${type} ${orderId}`));
  return decisions
    .filter(({ paymentRequestId, status }) => {
      const type = status === 'SUCCEEDED' ? 'PaymentSucceeded' : 'PaymentFailed';
      return !results.has(`${type} ${orderOf.get(paymentRequestId)}`);
    })
    .map(
      ({ paymentRequestId, status }) => `payment request ${paymentRequestId} was accepted as ${status} but never was`,
    );
}

/**
 * All received money is either kept for a completed order, to the cent, or was refunded. Money was received if the services have recorded
 * it; they must have recorded it if the gateway took it or the provider reported it.
 */
export function moneyIsConserved(facts: Facts): string[] {
  const { orders, paymentRequests, paymentSteps, webhooks } = facts;
  const excused = excusedKeys(facts, ['order-service', 'payment-service']);
  const orderOf = new Map(orders.map((order) => [order.id, order]));
  const stepsOf = Map.groupBy(paymentSteps, ({ orderId }) => orderId);
  const reported = new Set(
    webhooks
      .filter(({ type, answers }) => type === 'payment.succeeded' && answers.some(({ status }) => status < 300))
      .map(({ paymentRequestId }) => paymentRequestId),
  );
  let kept = 0;
  const findings = paymentRequests.flatMap(({ id, orderId, amount, taken }) => {
    const count = (types: readonly string[]) =>
      (stepsOf.get(orderId) ?? []).filter(({ type }) => types.includes(type)).length;
    const [received, refunded] = [count(INCOMING), count(OUTGOING)];
    if (received === 0 && (taken || reported.has(id)))
      return [`the money of payment request ${id} was received but not recorded`];
    if (excused.has(orderId)) return [];
    kept += (received - refunded) * amount;
    const due = COMPLETED.has(orderOf.get(orderId)?.status ?? '') ? 1 : 0;
    return received - refunded === due
      ? []
      : [`the money of payment request ${id} was received ${received} times and refunded ${refunded} times`];
  });
  const totals = orders
    .filter(({ id, status }) => COMPLETED.has(status) && !excused.has(id))
    .reduce((sum, { total }) => sum + total, 0);
  return kept === totals ? findings : [...findings, `${kept} was kept for orders that cost ${totals}`];
}

/** The total of an order is the sum of its items at the prices when it was placed. */
export function totalsMatchItems({ orders }: Facts): string[] {
  return orders
    .map(({ id, total, items }) => ({
      id,
      total,
      sum: items.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0),
    }))
    .filter(({ total, sum }) => total !== sum)
    .map(({ id, total, sum }) => `order ${id} costs ${total}, but its items cost ${sum}`);
}

/** A payment expires once and not early. That an expiry does not change a decided payment is checked by `timelinesAreValid`. */
export function expiriesAreValid({ paymentRequests, paymentSteps }: Facts): string[] {
  const requestOf = new Map(paymentRequests.map((request) => [request.orderId, request]));
  const expiries = paymentSteps.filter(({ cause }) => cause === 'expiry');
  return [...Map.groupBy(expiries, ({ orderId }) => orderId)].flatMap(([orderId, steps]) => {
    const request = requestOf.get(orderId);
    const early = steps.filter(({ at }) => !request || at < request.expiresAt);
    return [
      ...(steps.length > 1 ? [`the payment of order ${orderId} expired ${steps.length} times`] : []),
      ...early.map(() => `the payment of order ${orderId} expired too early`),
    ];
  });
}

/** A webhook of the provider takes effect once, however often it is sent; a forged one has no effect. */
export function webhooksTakeEffectOnce({ webhooks, paymentSteps }: Facts): string[] {
  const lines = Map.groupBy(paymentSteps, ({ messageId }) => messageId);
  return webhooks.flatMap(({ id, forged, answers }) => {
    const count = lines.get(id)?.length ?? 0;
    const accepted = answers.filter(({ status }) => status < 300);
    if (forged) return count > 0 || accepted.length > 0 ? [`the forged webhook ${id} was accepted`] : [];
    const effects = accepted.filter(({ outcome }) => outcome !== 'repeated').length;
    // The answer that reports the effect may have been lost.
    const valid = effects <= 1 && count <= 1 && (accepted.length === 0 || count === 1);
    return valid
      ? []
      : [`webhook ${id} took effect ${effects} times according to its answers, but is on ${count} lines`];
  });
}
