import { diedInACrash } from './judge.js';
import { type ChaosResult } from './run.js';
import { FAULT_KINDS } from './schedule.js';

/** Of each check so many findings are shown. */
const SHOWN = 5;

/** What happened, in figures, and what the checks found; the last line is the verdict. */
export function report({ verdicts, facts, faults, redelivered, worst }: ChaosResult): string[] {
  const { placings, orders, records, deadLetters } = facts;
  const found = verdicts.reduce((sum, { findings }) => sum + findings.length, 0);
  const placed = countBy(placings, ({ outcome }) => outcome);
  const statuses = countBy(orders, ({ status }) => status);
  const count = (counts: Record<string, number>, name: string) => counts[name] ?? 0;
  const topics = [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, ofTopic]) => {
    const messages = new Set(ofTopic.map(({ id }) => id)).size;
    return `  ${topic}: ${messages} messages, ${ofTopic.length - messages} duplicates`;
  });
  const kinds = FAULT_KINDS.map((kind) => `  ${kind}: ${faults.filter((fault) => fault.kind === kind).length}`);
  const customers = new Set(orders.map(({ customerId }) => customerId));
  const inDoubt = placings.filter(
    ({ outcome, customerId }) => outcome !== 'accepted' && customers.has(customerId),
  ).length;
  const explained = deadLetters.filter(diedInACrash).length;
  return [
    'orders',
    `  accepted: ${count(placed, 'accepted')}`,
    `  refused: ${count(placed, 'refused') + count(placed, 'unavailable')} (${count(placed, 'unavailable')} with 5xx)`,
    `  unanswered: ${count(placed, 'unanswered')}`,
    `  of those answered with 5xx or not at all, placed all the same: ${inDoubt}`,
    `  completed: ${count(statuses, 'COMPLETED')}`,
    `  cancelled: ${count(statuses, 'CANCELLED')}`,
    `  pending: ${orders.length - count(statuses, 'COMPLETED') - count(statuses, 'CANCELLED')}`,
    'topics',
    ...topics,
    'faults',
    ...kinds,
    `  messages delivered twice on purpose: ${redelivered}`,
    'dead letters',
    `  of messages alone in flight when a process died: ${explained}`,
    `  others: ${deadLetters.length - explained}`,
    'worst latencies',
    `  an order's answer: ${seconds(worst.answer)}`,
    `  order to payment request: ${seconds(worst.toPaymentRequest)}`,
    `  payment's result to the order's end: ${seconds(worst.toEnd)}`,
    'checks',
    ...verdicts.flatMap(({ check, findings }) => [
      `  ${findings.length === 0 ? '✓' : '✗'} ${check}`,
      ...findings.slice(0, SHOWN).map((finding) => `      ${finding}`),
      ...(findings.length > SHOWN ? [`      … and ${findings.length - SHOWN} more`] : []),
    ]),
    found === 0 ? 'passed' : `FAILED: ${found} findings`,
  ];
}

function countBy<T>(items: readonly T[], name: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[name(item)] = (counts[name(item)] ?? 0) + 1;
  return counts;
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
