import { type Facts } from './facts.js';
import { isExplained, judgedTakeOvers } from './judge-rest.js';
import { type ChaosResult } from './run.js';
import { FAULT_KINDS } from './schedule.js';

/** Of each check so many findings are shown. */
const SHOWN = 5;

/** What happened, in figures, and what the checks found; the last line is the verdict. */
export function report(result: ChaosResult): string[] {
  const { verdicts, facts } = result;
  const found = verdicts.reduce((sum, { findings }) => sum + findings.length, 0);
  return [
    ...orderLines(facts),
    ...paymentLines(facts),
    ...requestLines(result),
    ...messageLines(result),
    ...timeLines(result),
    'checks',
    ...verdicts.flatMap(({ check, findings }) => [
      `  ${findings.length === 0 ? '✓' : '✗'} ${check}`,
      ...findings.slice(0, SHOWN).map((finding) => `      ${finding}`),
      ...(findings.length > SHOWN ? [`      … and ${findings.length - SHOWN} more`] : []),
    ]),
    found === 0 ? 'passed' : `FAILED: ${found} findings`,
  ];
}

function orderLines({ placings, orders, orderSteps, commands, edits }: Facts): string[] {
  const placed = countBy(placings, ({ outcome }) => outcome);
  const statuses = countBy(orders, ({ status }) => status);
  const steps = countBy(orderSteps, ({ type }) => type);
  const known = new Set(orderSteps.filter(({ type }) => type === 'OrderPlaced').map(({ orderId }) => orderId));
  const customers = new Set(orders.filter(({ id }) => known.has(id)).map(({ customerId }) => customerId));
  const inDoubt = placings.filter(
    ({ outcome, customerId }) => outcome !== 'accepted' && customers.has(customerId),
  ).length;
  const asked = (kind: string, outcome: string) =>
    commands.filter((command) => command.kind === kind && command.outcome === outcome).length;
  return [
    'orders',
    `  accepted: ${of(placed, 'accepted')}`,
    `  refused: ${of(placed, 'refused')}, and ${of(placed, 'unavailable')} with 5xx`,
    `  unanswered: ${of(placed, 'unanswered')}`,
    `  of those answered with 5xx or not at all, placed all the same: ${inDoubt}`,
    `  completed: ${of(statuses, 'COMPLETED')}, and ${of(statuses, 'FINISHED')} finished`,
    `  cancelled: ${of(statuses, 'CANCELLED')}, ${of(steps, 'OrderDiscarded')} of them carts that were discarded`,
    `  carts left: ${of(statuses, 'DRAFT')}`,
    `  cancellations asked for: ${asked('cancel', 'accepted')} accepted, ${asked('cancel', 'refused')} refused`,
    `  finishes asked for: ${asked('finish', 'accepted')} accepted, ${asked('finish', 'refused')} refused`,
    `  changes of carts: ${edits.filter(({ outcome }) => outcome === 'accepted').length} of ${edits.length} accepted`,
    `  messages passed over: ${of(steps, 'MessagePassedOver')}`,
  ];
}

function paymentLines({ gateway, paymentRequests, paymentSteps, webhooks }: Facts): string[] {
  const statuses = countBy(paymentRequests, ({ status }) => status);
  const steps = countBy(paymentSteps, ({ type }) => type);
  const causes = countBy(paymentSteps, ({ type, cause }) => `${type} by ${cause ?? 'nobody'}`);
  const outcomes = countBy(
    webhooks.flatMap(({ answers }) => answers),
    ({ outcome }) => outcome,
  );
  return [
    `payments, gateway ${gateway}`,
    `  succeeded: ${of(statuses, 'SUCCEEDED')}`,
    `  failed: ${of(statuses, 'FAILED')}`,
    `  cancelled: ${of(statuses, 'CANCELLED')}`,
    `  refunded: ${of(statuses, 'REFUNDED')}, ${of(steps, 'LatePaymentReceived')} of them paid too late`,
    `  settled by the gateway: ${of(causes, 'PaymentSucceeded by charge') + of(causes, 'PaymentFailed by charge')}`,
    `  expired: ${of(causes, 'PaymentFailed by expiry')}`,
    `  webhooks: ${webhooks.length}, ${webhooks.filter(({ forged }) => forged).length} of them forged`,
    `  their answers: ${of(outcomes, 'applied')} applied, ${of(outcomes, 'passed-over')} passed over, ${of(outcomes, 'repeated')} repeated`,
    `  messages passed over: ${of(steps, 'MessagePassedOver')}`,
  ];
}

function requestLines({ facts, repeats }: ChaosResult): string[] {
  const { answers, replayed, stock } = facts;
  const refusals = answers.filter(({ status }) => status >= 400).toSorted((a, b) => a.status - b.status);
  return [
    'requests',
    `  answered with 2xx: ${answers.filter(({ status }) => status < 300).reduce((sum, { count }) => sum + count, 0)}`,
    ...refusals.map(({ status, code, count }) => `  answered with ${status} ${code}: ${count}`),
    `  sent again: ${repeats}, and ${replayed} answers were stored ones`,
    `  pieces that operators added: ${stock.reduce((sum, { put }) => sum + put, 0)}`,
  ];
}

function messageLines({ facts, relaysApart, lostAnswers }: ChaosResult): string[] {
  const { records, faults, redelivered } = facts;
  const topics = [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, ofTopic]) => {
    const messages = new Set(ofTopic.map(({ id }) => id)).size;
    return `  ${topic}: ${messages} messages, ${ofTopic.length - messages} duplicates`;
  });
  const deadLetters = facts.parked.filter(({ deadAt }) => deadAt !== null);
  const explained = deadLetters.filter((letter) => isExplained(letter, facts)).length;
  const notices = new Set(facts.notices.map(({ type, orderId }) => `${type} ${orderId}`)).size;
  return [
    'topics',
    ...topics,
    `  customers told: ${notices} times, and ${facts.notices.length - notices} times once more`,
    `faults, with relays of their own for ${relaysApart}`,
    ...FAULT_KINDS.map((kind) => `  ${kind}: ${faults.filter((fault) => fault.kind === kind).length}`),
    `  answers lost: ${lostAnswers}`,
    `  messages delivered twice on purpose: ${redelivered}`,
    'relays',
    ...facts.relays.map(({ service, terms }) => `  take-overs in ${service}: ${Math.max(0, terms - 1)}`),
    'parked',
    `  messages whose handler failed: ${facts.parkings.filter(({ failed }) => failed).length}`,
    `  messages behind them: ${facts.parkings.filter(({ failed }) => !failed).length}`,
    ...(['at rest', 'at the end'] as const).map((when) => {
      const found = facts.marks.filter((mark) => mark.when === when).map(({ marks }) => marks);
      const sum = found.reduce((total, marks) => total + marks, 0);
      return `  marks of what was in flight, ${when}: ${sum}, at most ${Math.max(0, ...found)} a partition`;
    }),
    'dead letters',
    `  of messages alone in flight when a process died: ${explained}`,
    `  others: ${deadLetters.length - explained}`,
  ];
}

function timeLines({ facts, slowestAnswer, pace }: ChaosResult): string[] {
  return [
    'longest times',
    `  an order's answer: ${seconds(slowestAnswer)}`,
    `  order to payment request: ${seconds(pace.toPaymentRequest)}`,
    `  payment's result to the order: ${seconds(pace.toEnd)}`,
    `  a payment's time to its expiry: ${seconds(pace.toExpiry)}`,
    `  a relay's end to its successor: ${seconds(Math.max(0, ...judgedTakeOvers(facts).map(({ tookMs }) => tookMs)))}`,
    `  a 503 (of those beyond 2 s): ${seconds(Math.max(0, ...facts.slowRefusals.map(({ tookMs }) => tookMs)))}`,
    `  SIGTERM to the end of a process: ${seconds(Math.max(0, ...facts.stops.map(({ tookMs }) => tookMs)))}`,
    'longest times without progress',
    `  no order was accepted: ${seconds(pace.withoutOrder)}`,
    `  no payment was requested: ${seconds(pace.withoutPaymentRequest)}`,
    `  no order ended: ${seconds(pace.withoutEnd)}`,
  ];
}

const of = (counts: Record<string, number>, name: string) => counts[name] ?? 0;

function countBy<T>(items: readonly T[], name: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[name(item)] = (counts[name(item)] ?? 0) + 1;
  return counts;
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
