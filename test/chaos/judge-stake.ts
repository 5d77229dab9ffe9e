import { type Facts } from './facts.js';
import { judgedTakeOvers } from './judge-rest.js';

/** Of so many orders some meet whatever there is to be met. */
const MANY = 1000;

/** A run in which nothing was at stake must not pass. */
export function somethingHappened(facts: Facts): string[] {
  const rare = facts.orders.length >= MANY ? missing(rarelyIn(facts)) : [];
  return [...missing(alwaysIn(facts)), ...rare, ...quietSystem(facts)];
}

const missing = (happened: Readonly<Record<string, boolean>>) =>
  Object.keys(happened)
    .filter((what) => !happened[what])
    .map((what) => `in this run ${what}`);

function alwaysIn({ placings, orders, orderSteps, paymentSteps, answers, replayed, gateway, parkings }: Facts) {
  return {
    'no order was accepted': placings.some(({ outcome }) => outcome === 'accepted'),
    'no order was paid': orderSteps.some(({ type }) => type === 'OrderCompleted'),
    'no order was cancelled': orders.some(({ status }) => status === 'CANCELLED'),
    'no cart was filled': orderSteps.some(({ type }) => type === 'ItemAdded'),
    // A gateway that settles by itself leaves nothing to expire, unless a process dies with the call in hand.
    'no payment expired': gateway === 'simulated' || paymentSteps.some(({ cause }) => cause === 'expiry'),
    'the gateway settled nothing': gateway === 'manual' || paymentSteps.some(({ cause }) => cause === 'charge'),
    'no message was parked because its handler failed': parkings.some(({ failed, went }) => failed && went !== null),
    'no idempotency key was used again': replayed > 0,
    ...refusals(answers, ['insufficient-stock', 'version-conflict']),
  };
}

function rarelyIn(facts: Facts) {
  const { orders, paymentSteps, paymentRequests, answers, webhooks, parkings, faults, preparedAgain } = facts;
  const isTold = (outcome: string) =>
    webhooks.some((webhook) => webhook.answers.some((answer) => answer.outcome === outcome));
  return {
    'no message was parked behind another one': parkings.some(({ failed, went }) => !failed && went !== null),
    'no take-over of a relay was judged': judgedTakeOvers(facts).length > 0,
    'no column was widened': faults.some(({ kind }) => kind === 'column widened'),
    'no statement was prepared again': preparedAgain > 0,
    'the database was never slow': faults.some(({ kind }) => kind === 'database slow'),
    'no order was finished': orders.some(({ status }) => status === 'FINISHED'),
    'no payment was cancelled': paymentRequests.some(({ status }) => status === 'CANCELLED'),
    'no payment was refunded': paymentRequests.some(({ status }) => status === 'REFUNDED'),
    'no payment came too late': paymentSteps.some(({ type }) => type === 'LatePaymentReceived'),
    'no webhook had an effect': isTold('applied'),
    'no webhook was passed over': isTold('passed-over'),
    'no webhook was repeated': isTold('repeated'),
    ...refusals(answers, [
      'order-wrong-status',
      'payment-already-decided',
      'webhook-not-genuine',
      'database-unavailable',
    ]),
  };
}

function refusals(answers: Facts['answers'], codes: readonly string[]) {
  return Object.fromEntries(
    codes.map((code) => [`nothing was refused as ${code}`, answers.some((answer) => answer.code === code)]),
  );
}

function quietSystem({ records, faults, redelivered, links }: Facts): string[] {
  const findings = [];
  if (records.length === 0) findings.push('no message is on the topics');
  if (faults.length === 0) findings.push('nothing was broken');
  if (redelivered === 0) findings.push('no message was delivered twice on purpose');
  // A relay that only ever stood by needs no Kafka; one of the two has led.
  const ways = Map.groupBy(links, ({ name }) => name.replace(/ relay\/\d+ → kafka$/, ' relays → kafka'));
  for (const [way, ofWay] of ways)
    if (ofWay.every(({ connections }) => connections === 0)) findings.push(`nothing ever went ${way}`);
  return findings;
}
