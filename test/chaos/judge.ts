import { type Facts } from './facts.js';
import {
  eventsAreOnTopics,
  eventsWereRaisedOnce,
  inversions,
  outboxesAreOnTopics,
  topicsAreFromOutboxes,
} from './judge-messages.js';
import {
  acceptedResultsAreThere,
  expiriesAreLawful,
  moneyIsConserved,
  onePaymentRequestAnOrder,
  totalsAreRight,
  webhooksHadEffectOnce,
} from './judge-money.js';
import {
  acceptedOrdersAreThere,
  cartsAreSafe,
  commandsStand,
  customersWereTold,
  ordersAreSettled,
} from './judge-orders.js';
import {
  answersAreLawful,
  marksLeft,
  parkedCameBackInOrder,
  parkedMessages,
  refusalsInTime,
  relaysAtRest,
  stopsInTime,
  takeOversInTime,
  unexplainedDeadLetters,
} from './judge-rest.js';
import { somethingHappened } from './judge-stake.js';
import { productsAreAsPut, stockIsConserved } from './judge-stock.js';
import { messagesWereHeardOnce, stepsHappenedOnce, timelinesAreLawful } from './judge-timelines.js';

export interface Verdict {
  readonly check: string;
  /** One line each; none: it holds. */
  readonly findings: readonly string[];
}

const CHECKS: Readonly<Record<string, (facts: Facts) => string[]>> = {
  'something happened that could have gone wrong': somethingHappened,
  'no accepted order is lost, and a key is one order': acceptedOrdersAreThere,
  'no change of a cart is lost, or made of what nobody had seen': cartsAreSafe,
  'what was cancelled or finished stays so': commandsStand,
  'no accepted payment result is lost': acceptedResultsAreThere,
  'one payment request an order': onePaymentRequestAnOrder,
  'every order and its payment have ended, and agree': ordersAreSettled,
  'every order costs what its items cost': totalsAreRight,
  'money is conserved': moneyIsConserved,
  'stock is conserved': stockIsConserved,
  'products are as operators have put them': productsAreAsPut,
  'an expiry comes once, and not before its time': expiriesAreLawful,
  'a webhook has its effect once': webhooksHadEffectOnce,
  'customers are told of the end of their orders': customersWereTold,
  'every step of a timeline leads on from the last, to where the order stands': timelinesAreLawful,
  'every message is heard once': messagesWereHeardOnce,
  'no step happens twice': stepsHappenedOnce,
  'every change has its event on the topic, and no event is of no change': eventsAreOnTopics,
  'no event is raised twice': eventsWereRaisedOnce,
  'every message of an outbox is on its topic': outboxesAreOnTopics,
  'every message on a topic was committed to its outbox': topicsAreFromOutboxes,
  'no inversion within a key': inversions,
  'no dead letter is unexplained': unexplainedDeadLetters,
  'messages whose handler failed came back in order': parkedCameBackInOrder,
  'nothing is parked at rest': parkedMessages,
  'nothing is above the cursor of a relay, or in its gaps, at rest': relaysAtRest,
  'the marks of what was in flight are bounded at rest': marksLeft,
  'every process ends within 10 s of SIGTERM, with exit status 0': stopsInTime,
  'a standby takes over within 5 s of the death of its leader': takeOversInTime,
  'a service that cannot help answers 503 within 2 s': refusalsInTime,
  'every answer is one that was to be expected': answersAreLawful,
  'the services went on by themselves': ({ complaints }) => [...complaints],
};

/** The whole verdict: a rule over facts, so that each check is proven to fail by facts that are made up. */
export function judge(facts: Facts): Verdict[] {
  return Object.entries(CHECKS).map(([check, find]) => ({ check, findings: find(facts) }));
}
