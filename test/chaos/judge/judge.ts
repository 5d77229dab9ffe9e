import { type Facts } from './facts.js';
import {
  eventsAreOnTopics,
  eventsWereRaisedOnce,
  inversions,
  outboxesArePublished,
  topicsMatchOutboxes,
} from './judge-messages.js';
import {
  acceptedResultsAreRecorded,
  expiriesAreValid,
  moneyIsConserved,
  onePaymentRequestPerOrder,
  totalsMatchItems,
  webhooksTakeEffectOnce,
} from './judge-money.js';
import {
  acceptedOrdersExist,
  cartChangesAreConditional,
  commandsStayInEffect,
  customersAreNotified,
  ordersAreSettled,
} from './judge-orders.js';
import {
  answersAreExpected,
  crashMarksAreBounded,
  parkedAreHandledInOrder,
  nothingIsParked,
  unavailableInTime,
  relaysAreIdle,
  stopsInTime,
  takeOversInTime,
  unexplainedDeadLetters,
} from './judge-rest.js';
import { runCoversChecks } from './judge-coverage.js';
import { productsMatchPuts, stockIsConserved } from './judge-stock.js';
import { messagesAreProcessedOnce, stepsHappenOnce, timelinesAreValid } from './judge-timelines.js';

export interface Verdict {
  readonly check: string;
  /** One line each; empty if the check passes. */
  readonly findings: readonly string[];
}

/** The check that also depends on what else the machine is doing. */
export const ANSWERED_IN_TIME = 'a service that cannot process a request answers 503 within 2 s';

const CHECKS: Readonly<Record<string, (facts: Facts) => string[]>> = {
  'the run covered what is checked': runCoversChecks,
  'no accepted order is lost, and an idempotency key yields one order': acceptedOrdersExist,
  'no change of a cart is lost, and none overwrites another': cartChangesAreConditional,
  'a cancelled or finished order stays so': commandsStayInEffect,
  'no accepted payment result is lost': acceptedResultsAreRecorded,
  'every order has one payment request': onePaymentRequestPerOrder,
  'every order and its payment have ended and agree': ordersAreSettled,
  'every order costs what its items cost': totalsMatchItems,
  'money is conserved': moneyIsConserved,
  'stock is conserved': stockIsConserved,
  'products are stored as operators have put them': productsMatchPuts,
  'a payment expires once and not early': expiriesAreValid,
  'a webhook takes effect once': webhooksTakeEffectOnce,
  'customers are notified of the end of their orders': customersAreNotified,
  'every step of a timeline is a valid transition, and the last one matches the order': timelinesAreValid,
  'every message is processed once': messagesAreProcessedOnce,
  'no step happens twice': stepsHappenOnce,
  'every change has its event on the topic, and every event has its change': eventsAreOnTopics,
  'no event is raised twice': eventsWereRaisedOnce,
  'every message of an outbox is on its topic': outboxesArePublished,
  'every message on a topic was committed to its outbox': topicsMatchOutboxes,
  'no inversion within a key': inversions,
  'no dead letter is unexplained': unexplainedDeadLetters,
  'messages whose handler failed are handled in order': parkedAreHandledInOrder,
  'nothing is parked once the system is idle': nothingIsParked,
  'nothing is above the cursor of a relay or in its gaps once the system is idle': relaysAreIdle,
  'the number of crash marks is bounded once the system is idle': crashMarksAreBounded,
  'every process stops within 10 s of SIGTERM, with exit status 0': stopsInTime,
  'a standby takes over within 5 s of the death of its leader': takeOversInTime,
  [ANSWERED_IN_TIME]: unavailableInTime,
  'every answer is an expected one': answersAreExpected,
  'no process exited unexpectedly, and the system became idle': ({ unexpectedEvents }) => [...unexpectedEvents],
};

/** Runs all checks. A pure function of the facts, so that a test can prove with made-up facts that each check can fail. */
export function judge(facts: Facts): Verdict[] {
  return Object.entries(CHECKS).map(([check, find]) => ({ check, findings: find(facts) }));
}
