import { type Facts } from './judge/facts.js';
import { isExplained, judgedTakeOvers } from './judge/judge-rest.js';
import { type ChaosResult } from './run.js';
import { CLUSTER_FAULTS, FAULT_KINDS, STANDBY_FAULTS } from './faults/schedule.js';

/** The maximum number of findings shown for each check. */
const MAX_FINDINGS = 5;

/** Returns the figures of a run and the findings of the checks. The last line is the verdict. */
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
      ...findings.slice(0, MAX_FINDINGS).map((finding) => `      ${finding}`),
      ...(findings.length > MAX_FINDINGS ? [`      … and ${findings.length - MAX_FINDINGS} more`] : []),
    ]),
    found === 0 ? 'passed' : `FAILED: ${found} findings`,
  ];
}

function orderLines({ orderAttempts, orders, orderSteps, commands, edits }: Facts): string[] {
  const placed = countBy(orderAttempts, ({ outcome }) => outcome);
  const statuses = countBy(orders, ({ status }) => status);
  const steps = countBy(orderSteps, ({ type }) => type);
  const known = new Set(orderSteps.filter(({ type }) => type === 'OrderPlaced').map(({ orderId }) => orderId));
  const customers = new Set(orders.filter(({ id }) => known.has(id)).map(({ customerId }) => customerId));
  const inDoubt = orderAttempts.filter(
    ({ outcome, customerId }) => outcome !== 'accepted' && customers.has(customerId),
  ).length;
  const asked = (kind: string, outcome: string) =>
    commands.filter((command) => command.kind === kind && command.outcome === outcome).length;
  return [
    'orders',
    `  accepted: ${of(placed, 'accepted')}`,
    `  refused: ${of(placed, 'refused')}, and ${of(placed, 'unavailable')} with 5xx`,
    `  unanswered: ${of(placed, 'unanswered')}`,
    `  placed although answered with 5xx or not at all: ${inDoubt}`,
    `  completed: ${of(statuses, 'COMPLETED')}, and ${of(statuses, 'FINISHED')} finished`,
    `  cancelled: ${of(statuses, 'CANCELLED')}, ${of(steps, 'OrderDiscarded')} of them discarded carts`,
    `  carts left: ${of(statuses, 'DRAFT')}`,
    `  requests to cancel: ${asked('cancel', 'accepted')} accepted, ${asked('cancel', 'refused')} refused`,
    `  requests to finish: ${asked('finish', 'accepted')} accepted, ${asked('finish', 'refused')} refused`,
    `  changes of carts: ${edits.filter(({ outcome }) => outcome === 'accepted').length} of ${edits.length} accepted`,
    `  messages ignored: ${of(steps, 'MessagePassedOver')}`,
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
    `  refunded: ${of(statuses, 'REFUNDED')}, ${of(steps, 'LatePaymentReceived')} of them paid late`,
    `  settled by the gateway: ${of(causes, 'PaymentSucceeded by charge') + of(causes, 'PaymentFailed by charge')}`,
    `  expired: ${of(causes, 'PaymentFailed by expiry')}`,
    `  webhooks: ${webhooks.length}, ${webhooks.filter(({ forged }) => forged).length} of them forged`,
    `  webhook answers: ${of(outcomes, 'applied')} applied, ${of(outcomes, 'passed-over')} ignored, ${of(outcomes, 'repeated')} duplicates`,
    `  messages ignored: ${of(steps, 'MessagePassedOver')}`,
  ];
}

function requestLines({ facts, repeats }: ChaosResult): string[] {
  const { answers, replayed, stock } = facts;
  const refusals = answers.filter(({ status }) => status >= 400).toSorted((a, b) => a.status - b.status);
  return [
    'requests',
    `  answered with 2xx: ${answers.filter(({ status }) => status < 300).reduce((sum, { count }) => sum + count, 0)}`,
    ...refusals.map(({ status, code, count }) => `  answered with ${status} ${code}: ${count}`),
    `  sent again: ${repeats}, and ${replayed} answered with a stored response`,
    `  stock added by operators: ${stock.reduce((sum, { put }) => sum + put, 0)}`,
  ];
}

function messageLines({ facts, separateRelaysOf, lostAnswers }: ChaosResult): string[] {
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
    `  customer notifications: ${notices}, and ${facts.notices.length - notices} duplicates`,
    `faults, with separate relay processes for ${separateRelaysOf}`,
    ...[
      ...FAULT_KINDS,
      ...(facts.brokers > 1 ? CLUSTER_FAULTS : []),
      ...(facts.promotions === undefined ? [] : STANDBY_FAULTS),
    ].map((kind) => `  ${kind}: ${faults.filter((fault) => fault.kind === kind).length}`),
    `  answers lost: ${lostAnswers}`,
    `  messages redelivered: ${redelivered}`,
    'relays',
    ...facts.relays.map(({ service, terms }) => `  take-overs in ${service}: ${Math.max(0, terms - 1)}`),
    'parked',
    `  messages whose handler failed: ${facts.parkings.filter(({ failed }) => failed).length}`,
    `  messages parked behind them: ${facts.parkings.filter(({ failed }) => !failed).length}`,
    ...(['at rest', 'at the end'] as const).map((when) => {
      const found = facts.marks.filter((mark) => mark.when === when).map(({ marks }) => marks);
      const sum = found.reduce((total, marks) => total + marks, 0);
      return `  crash marks ${when}: ${sum}, at most ${Math.max(0, ...found)} per partition`;
    }),
    'dead letters',
    `  messages alone in flight when processes died: ${explained}`,
    `  others: ${deadLetters.length - explained}`,
  ];
}

function timeLines({ facts, slowestAnswer, timings }: ChaosResult): string[] {
  return [
    'longest times',
    `  answer to an order: ${seconds(slowestAnswer)}`,
    `  order to payment request: ${seconds(timings.toPaymentRequest)}`,
    `  payment result to the end of the order: ${seconds(timings.toEnd)}`,
    `  due time of a payment to its expiry: ${seconds(timings.toExpiry)}`,
    `  death of a relay to its successor: ${seconds(Math.max(0, ...judgedTakeOvers(facts).map(({ tookMs }) => tookMs)))}`,
    `  503 (only those above 2 s): ${seconds(Math.max(0, ...facts.slowRefusals.map(({ tookMs }) => tookMs)))}`,
    `  SIGTERM to the exit of a process: ${seconds(Math.max(0, ...facts.stops.map(({ tookMs }) => tookMs)))}`,
    'longest times without progress',
    `  without an accepted order: ${seconds(timings.withoutOrder)}`,
    `  without a payment request: ${seconds(timings.withoutPaymentRequest)}`,
    `  without an end of an order: ${seconds(timings.withoutEnd)}`,
  ];
}

const of = (counts: Record<string, number>, name: string) => counts[name] ?? 0;

function countBy<T>(items: readonly T[], name: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[name(item)] = (counts[name(item)] ?? 0) + 1;
  return counts;
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
