import { type Facts } from './facts.js';
import { judgedTakeOvers } from './judge-rest.js';

/** A run with this many orders must have covered the rare cases too. */
const MANY = 1000;

/** The run covered the cases that the other checks are about. A run that exercised nothing must not pass. */
export function runCoversChecks(facts: Facts): string[] {
  const rare = facts.orders.length >= MANY ? missing(rarelyIn(facts)) : [];
  return [...missing(alwaysIn(facts)), ...rare, ...quietSystem(facts), ...failOvers(facts)];
}

const missing = (happened: Readonly<Record<string, boolean>>) =>
  Object.keys(happened)
    .filter((what) => !happened[what])
    .map((what) => `in this run ${what}`);

function alwaysIn({ orderAttempts, orders, orderSteps, paymentSteps, answers, replayed, gateway, parkings }: Facts) {
  return {
    'no order was accepted': orderAttempts.some(({ outcome }) => outcome === 'accepted'),
    'no order was paid': orderSteps.some(({ type }) => type === 'OrderCompleted'),
    'no order was cancelled': orders.some(({ status }) => status === 'CANCELLED'),
    'no cart was filled': orderSteps.some(({ type }) => type === 'ItemAdded'),
    // With the simulated gateway nothing expires, unless a process dies during the call.
    'no payment expired': gateway === 'simulated' || paymentSteps.some(({ cause }) => cause === 'expiry'),
    'the gateway settled no payment': gateway === 'manual' || paymentSteps.some(({ cause }) => cause === 'charge'),
    'no message was parked because its handler failed': parkings.some(({ failed, went }) => failed && went !== null),
    'no idempotency key was repeated': replayed > 0,
    ...refusals(answers, ['insufficient-stock', 'version-conflict']),
  };
}

function rarelyIn(facts: Facts) {
  const { orders, paymentSteps, paymentRequests, answers, webhooks, parkings, faults, preparedAgain } = facts;
  const isReported = (outcome: string) =>
    webhooks.some((webhook) => webhook.answers.some((answer) => answer.outcome === outcome));
  return {
    'no message was parked behind another': parkings.some(({ failed, went }) => !failed && went !== null),
    'no take-over of a relay was judged': judgedTakeOvers(facts).length > 0,
    'no column was widened': faults.some(({ kind }) => kind === 'column widened'),
    'no statement was prepared again': preparedAgain > 0,
    ...(facts.brokers > 1 && clusterFaults(faults)),
    ...(facts.promotions !== undefined && standbyFaults(faults)),
    'the database was never slow': faults.some(({ kind }) => kind === 'database slow'),
    'no order was finished': orders.some(({ status }) => status === 'FINISHED'),
    'no payment was cancelled': paymentRequests.some(({ status }) => status === 'CANCELLED'),
    'no payment was refunded': paymentRequests.some(({ status }) => status === 'REFUNDED'),
    'no payment was received late': paymentSteps.some(({ type }) => type === 'LatePaymentReceived'),
    'no webhook took effect': isReported('applied'),
    'no webhook was ignored': isReported('passed-over'),
    'no webhook was a duplicate': isReported('repeated'),
    ...refusals(answers, [
      'order-wrong-status',
      'payment-already-decided',
      'webhook-not-genuine',
      'database-unavailable',
    ]),
  };
}

/** Each of these counts as a fault only if it took effect: leaders have moved, another broker became the coordinator. */
function clusterFaults(faults: Facts['faults']) {
  const happened = (kind: string) =>
    faults.some((fault) => fault.kind === kind && !fault.target.startsWith('postgres'));
  return {
    'no broker was killed': happened('server killed'),
    'no broker was paused': happened('server paused'),
    'no broker was restarted': happened('server restarted'),
    'no broker was cut off': happened('broker cut off'),
    'no coordinator of a group was killed': happened('coordinator killed'),
    'no partition leader was moved': happened('leaders moved'),
  };
}

function standbyFaults(faults: Facts['faults']) {
  return {
    'no standby was killed': faults.some(({ kind }) => kind === 'standby killed'),
    'no standby was paused': faults.some(({ kind }) => kind === 'standby paused'),
  };
}

function refusals(answers: Facts['answers'], codes: readonly string[]) {
  return Object.fromEntries(
    codes.map((code) => [`no request was refused with ${code}`, answers.some((answer) => answer.code === code)]),
  );
}

function quietSystem({ records, faults, redelivered, links }: Facts): string[] {
  const findings = [];
  if (records.length === 0) findings.push('the topics are empty');
  if (faults.length === 0) findings.push('no fault was injected');
  if (redelivered === 0) findings.push('no message was redelivered');
  // A client connects only to the brokers that lead its partitions. A relay that was always on standby does not connect to Kafka, but
  // one of the two must have led.
  const routes = Map.groupBy(links, ({ name }) =>
    name.replace(/ → kafka-\d+$/, ' → kafka').replace(/ relay\/\d+ → kafka$/, ' relays → kafka'),
  );
  for (const [route, ofRoute] of routes)
    if (ofRoute.every(({ connections }) => connections === 0)) findings.push(`there was no connection ${route}`);
  return findings;
}

/** Each fail-over that was injected has promoted a standby. Whatever the old primary had acknowledged is then covered by the other checks. */
function failOvers({ promotions, faults }: Facts): string[] {
  if (promotions === undefined) return [];
  const injected = faults.filter(({ kind }) => kind === 'database failed over').length;
  if (promotions !== injected)
    return [`the database failed over ${injected} times, but was promoted ${promotions} times`];
  return injected === 0 ? ['the database never failed over'] : [];
}
