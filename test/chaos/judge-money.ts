import { type Facts } from './facts.js';
import { keysOfExplained } from './judge-rest.js';

const ENDED_WELL = new Set(['COMPLETED', 'FINISHED']);
/** The steps of a payment with which money comes. */
const COMES = ['PaymentSucceeded', 'LatePaymentReceived'];
const GOES = ['PaymentRefunded'];

export function onePaymentRequestAnOrder(facts: Facts): string[] {
  const { orders, orderSteps, paymentRequests } = facts;
  // What payment-service never heard of it cannot request.
  const excused = keysOfExplained(facts, ['payment-service']);
  const placed = new Set(orderSteps.filter(({ type }) => type === 'OrderPlaced').map(({ orderId }) => orderId));
  const byOrder = Map.groupBy(paymentRequests, ({ orderId }) => orderId);
  const findings = orders.flatMap(({ id, customerId, total }) => {
    const requests = byOrder.get(id) ?? [];
    if (requests.length === 0 && (excused.has(id) || !placed.has(id))) return [];
    if (requests.length !== 1) return [`order ${id} has ${requests.length} payment requests`];
    const [request] = requests;
    return request?.amount === total && request.customerId === customerId
      ? []
      : [`the payment request of order ${id} has another amount or customer`];
  });
  const ids = new Set(orders.map(({ id }) => id));
  const strange = paymentRequests.filter(({ orderId }) => !ids.has(orderId));
  return [...findings, ...strange.map(({ id }) => `payment request ${id} belongs to no order`)];
}

/** An operator's result that was accepted is in the payment's history, whatever came after it. */
export function acceptedResultsAreThere({ decisions, paymentRequests, paymentSteps }: Facts): string[] {
  const orderOf = new Map(paymentRequests.map(({ id, orderId }) => [id, orderId]));
  const results = new Set(paymentSteps.map(({ type, orderId }) => `${type} ${orderId}`));
  return decisions
    .filter(({ paymentRequestId, status }) => {
      const type = status === 'SUCCEEDED' ? 'PaymentSucceeded' : 'PaymentFailed';
      return !results.has(`${type} ${orderOf.get(paymentRequestId)}`);
    })
    .map(
      ({ paymentRequestId, status }) => `payment request ${paymentRequestId} was accepted as ${status} and never was`,
    );
}

/**
 * Money that came is kept for an order that ended well, to the cent, or went back. It came where the services say so, and where
 * the gateway took it or the provider told of it: they must not have forgotten.
 */
export function moneyIsConserved(facts: Facts): string[] {
  const { orders, paymentRequests, paymentSteps, webhooks } = facts;
  const excused = keysOfExplained(facts, ['order-service', 'payment-service']);
  const orderOf = new Map(orders.map((order) => [order.id, order]));
  const stepsOf = Map.groupBy(paymentSteps, ({ orderId }) => orderId);
  const told = new Set(
    webhooks
      .filter(({ type, answers }) => type === 'payment.succeeded' && answers.some(({ status }) => status < 300))
      .map(({ paymentRequestId }) => paymentRequestId),
  );
  let kept = 0;
  const findings = paymentRequests.flatMap(({ id, orderId, amount, taken }) => {
    const count = (types: readonly string[]) =>
      (stepsOf.get(orderId) ?? []).filter(({ type }) => types.includes(type)).length;
    const [came, went] = [count(COMES), count(GOES)];
    if (came === 0 && (taken || told.has(id))) return [`the money of payment request ${id} came and was forgotten`];
    if (excused.has(orderId)) return [];
    kept += (came - went) * amount;
    const due = ENDED_WELL.has(orderOf.get(orderId)?.status ?? '') ? 1 : 0;
    return came - went === due ? [] : [`of payment request ${id} money came ${came} times and went back ${went} times`];
  });
  const totals = orders
    .filter(({ id, status }) => ENDED_WELL.has(status) && !excused.has(id))
    .reduce((sum, { total }) => sum + total, 0);
  return kept === totals ? findings : [...findings, `${kept} was kept for orders of ${totals}`];
}

/** An order costs what its items cost, at the prices of when it was placed. */
export function totalsAreRight({ orders }: Facts): string[] {
  return orders
    .map(({ id, total, items }) => ({
      id,
      total,
      sum: items.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0),
    }))
    .filter(({ total, sum }) => total !== sum)
    .map(({ id, total, sum }) => `order ${id} costs ${total}, its items ${sum}`);
}

/** An expiry comes once, and not before its time; `timelinesAreLawful` sees that it changes nothing that was decided. */
export function expiriesAreLawful({ paymentRequests, paymentSteps }: Facts): string[] {
  const requestOf = new Map(paymentRequests.map((request) => [request.orderId, request]));
  const expiries = paymentSteps.filter(({ cause }) => cause === 'expiry');
  return [...Map.groupBy(expiries, ({ orderId }) => orderId)].flatMap(([orderId, steps]) => {
    const request = requestOf.get(orderId);
    const early = steps.filter(({ at }) => !request || at < request.expiresAt);
    return [
      ...(steps.length > 1 ? [`the payment of order ${orderId} expired ${steps.length} times`] : []),
      ...early.map(() => `the payment of order ${orderId} expired before its time`),
    ];
  });
}

/** What the provider tells has its effect once, however often it tells it; what others tell in its name has none. */
export function webhooksHadEffectOnce({ webhooks, paymentSteps }: Facts): string[] {
  const lines = Map.groupBy(paymentSteps, ({ messageId }) => messageId);
  return webhooks.flatMap(({ id, forged, answers }) => {
    const count = lines.get(id)?.length ?? 0;
    const taken = answers.filter(({ status }) => status < 300);
    if (forged) return count > 0 || taken.length > 0 ? [`the forged webhook ${id} was taken`] : [];
    const effects = taken.filter(({ outcome }) => outcome !== 'repeated').length;
    // None of the answers need have arrived that told of the effect.
    const lawful = effects <= 1 && count <= 1 && (taken.length === 0 || count === 1);
    return lawful ? [] : [`webhook ${id} was told to have had ${effects} effects, and has ${count} lines`];
  });
}
