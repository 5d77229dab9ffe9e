import { type Facts } from './facts.js';
import { eventsAreOnTopics, inversions, outboxesAreOnTopics, topicsAreFromOutboxes } from './judge-messages.js';
import {
  acceptedOrdersAreThere,
  acceptedResultsAreThere,
  effectsHappenedOnce,
  onePaymentRequestAnOrder,
  ordersAreSettled,
} from './judge-orders.js';
import { marksLeft, parkedMessages, relaysAtRest, stopsInTime, unexplainedDeadLetters } from './judge-rest.js';

export interface Verdict {
  readonly check: string;
  /** One line each; none: it holds. */
  readonly findings: readonly string[];
}

const CHECKS: Readonly<Record<string, (facts: Facts) => string[]>> = {
  'something happened that could have gone wrong': somethingHappened,
  'no accepted order is lost': acceptedOrdersAreThere,
  'no accepted payment result is lost': acceptedResultsAreThere,
  'one payment request an order': onePaymentRequestAnOrder,
  'every order is final or lawfully pending': ordersAreSettled,
  'every change has its event on the topic, and no event is of no change': eventsAreOnTopics,
  'every message of an outbox is on its topic': outboxesAreOnTopics,
  'every message on a topic was committed to its outbox': topicsAreFromOutboxes,
  'no inversion within a key': inversions,
  'no effect twice': effectsHappenedOnce,
  'no dead letter is unexplained': unexplainedDeadLetters,
  'nothing is parked at rest': parkedMessages,
  'nothing is above the cursor of a relay, or in its gaps, at rest': relaysAtRest,
  'the marks of what was in flight are bounded at rest': marksLeft,
  'every process ends within 10 s of SIGTERM, with exit status 0': stopsInTime,
  'the services went on by themselves': ({ complaints }) => [...complaints],
};

/** The whole verdict: a rule over facts, so that each check is proven to fail by facts that are made up. */
export function judge(facts: Facts): Verdict[] {
  return Object.entries(CHECKS).map(([check, find]) => ({ check, findings: find(facts) }));
}

/** A run in which nothing was at stake must not pass. */
function somethingHappened({ placings, orders, records, faults, redelivered, links }: Facts): string[] {
  const findings = [];
  if (!placings.some(({ outcome }) => outcome === 'accepted')) findings.push('no order was accepted');
  for (const status of ['COMPLETED', 'CANCELLED'])
    if (!orders.some((order) => order.status === status)) findings.push(`no order was ${status}`);
  if (records.length === 0) findings.push('no message is on the topics');
  if (faults.length === 0) findings.push('nothing was broken');
  if (redelivered === 0) findings.push('no message was delivered twice on purpose');
  // A relay that only ever stood by needs no Kafka; one of the two has led.
  const ways = Map.groupBy(links, ({ name }) => name.replace(/ relay\/\d+ → kafka$/, ' relays → kafka'));
  for (const [way, ofWay] of ways)
    if (ofWay.every(({ connections }) => connections === 0)) findings.push(`nothing ever went ${way}`);
  return findings;
}
