import { isExplained } from './judge-rest.js';
import { type ChaosResult } from './run.js';
import { FAULT_KINDS } from './schedule.js';

/** Of each check so many findings are shown. */
const SHOWN = 5;

/** What happened, in figures, and what the checks found; the last line is the verdict. */
export function report(result: ChaosResult): string[] {
  const { verdicts, facts, relaysApart, parked, lostAnswers, slowestAnswer, pace } = result;
  const { placings, orders, records, faults, redelivered, stops } = facts;
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
  const deadLetters = facts.parked.filter(({ deadAt }) => deadAt !== null);
  const explained = deadLetters.filter((letter) => isExplained(letter, facts)).length;
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
    `faults, with relays of their own for ${relaysApart}`,
    ...kinds,
    `  answers lost: ${lostAnswers}`,
    `  messages delivered twice on purpose: ${redelivered}`,
    'relays',
    ...facts.relays.map(({ service, terms }) => `  take-overs in ${service}: ${Math.max(0, terms - 1)}`),
    'parked',
    `  messages seen parked: ${parked}`,
    ...(['at rest', 'at the end'] as const).map((when) => {
      const found = facts.marks.filter((mark) => mark.when === when).map(({ marks }) => marks);
      const sum = found.reduce((total, marks) => total + marks, 0);
      return `  marks of what was in flight, ${when}: ${sum}, at most ${Math.max(0, ...found)} a partition`;
    }),
    'dead letters',
    `  of messages alone in flight when a process died: ${explained}`,
    `  others: ${deadLetters.length - explained}`,
    'longest times',
    `  an order's answer: ${seconds(slowestAnswer)}`,
    `  order to payment request: ${seconds(pace.toPaymentRequest)}`,
    `  payment's result to the order's end: ${seconds(pace.toEnd)}`,
    `  SIGTERM to the end of a process: ${seconds(Math.max(0, ...stops.map(({ tookMs }) => tookMs)))}`,
    'longest times without progress',
    `  no order was accepted: ${seconds(pace.withoutOrder)}`,
    `  no payment was requested: ${seconds(pace.withoutPaymentRequest)}`,
    `  no order ended: ${seconds(pace.withoutEnd)}`,
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
