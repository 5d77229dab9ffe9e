import { type Facts, type ParkedFact } from './facts.js';
import { serviceOf, type ServiceName } from '../faults/schedule.js';
import { UNAVAILABLE_MS } from '../load/calls.js';

/** P8 */
const STOP_MS = 10_000;

/**
 * One crash mark of the process that handled the last message of the partition, and one of a previous owner that died, or lost the
 * partition, with messages in flight. The next message replaces both.
 */
const MARKS_A_PARTITION = 2;

/**
 * Whether a dead letter is the only kind that is allowed: a message blamed for the deaths of processes that had nothing else in flight.
 * At least as many processes of the service as the dead letter names must have been killed, or paused until they counted as dead, between
 * the writing of the message and its dead letter.
 */
export function isExplained(
  { service, box, error, writtenAt, deadAt }: ParkedFact,
  { faults }: Pick<Facts, 'faults'>,
): boolean {
  const claimed = /^the process died (\d+) times\b/.exec(error);
  if (box !== 'inbox' || deadAt === null || !claimed) return false;
  const deaths = faults.filter(
    ({ kind, target, at }) =>
      (kind === 'service killed' || kind === 'service paused') &&
      serviceOf(target) === service &&
      // A separate relay process consumes nothing.
      !target.includes(' relay/') &&
      at > writtenAt &&
      at <= deadAt,
  );
  const count = Number(claimed[1]);
  return count > 0 && deaths.length >= count;
}

/** Returns the orders whose messages these consumers no longer process because of an explained dead letter. */
export function excusedKeys(facts: Pick<Facts, 'parked' | 'faults'>, consumers: readonly string[]): Set<string> {
  return new Set(
    facts.parked
      .filter((parked) => consumers.includes(parked.consumer) && isExplained(parked, facts))
      .map(({ key }) => key),
  );
}

export function unexplainedDeadLetters(facts: Facts): string[] {
  return facts.parked
    .filter((parked) => parked.deadAt !== null && !isExplained(parked, facts))
    .map(({ service, box, key, error }) => `the ${box} of ${service} has a dead letter of ${key}: ${error}`);
}

/** Returns the parked messages and jobs that should have been processed, excluding those that wait behind an explained dead letter. */
export function waiting(facts: Pick<Facts, 'parked' | 'faults'>): ParkedFact[] {
  return facts.parked.filter(
    ({ box, consumer, key, deadAt }) =>
      deadAt === null && !(box === 'inbox' && excusedKeys(facts, [consumer]).has(key)),
  );
}

export function nothingIsParked(facts: Facts): string[] {
  return waiting(facts).map(
    ({ service, box, id, key, error }) =>
      `${id} of ${key} is still waiting in the ${box} of ${service}: ${error || 'no error'}`,
  );
}

/** No message is pending and no gap is open: the next relay would publish pending messages again and wait for gaps forever. */
export function relaysAreIdle({ outbox, relays }: Facts): string[] {
  return [
    ...outbox
      .filter(({ pending }) => pending)
      .map(
        ({ topic, id, position }) => `message ${id} of ${topic}, at position ${position}, is not recorded as published`,
      ),
    ...relays
      .filter(({ gaps }) => gaps > 0)
      .map(({ service, gaps }) => `the relay of ${service} has ${gaps} open gaps`),
  ];
}

export function crashMarksAreBounded({ marks }: Facts): string[] {
  return marks
    .filter((found) => found.marks > MARKS_A_PARTITION)
    .map((found) => `${found.consumer} has ${found.marks} crash marks on ${found.place} ${found.when}`);
}

/** P8: every process stops in time. A process that was never asked to stop proves nothing, so it is a finding too. */
export function stopsInTime({ processes, stops }: Facts): string[] {
  return [
    ...processes
      .filter((name) => !stops.some((stop) => stop.name === name))
      .map((name) => `${name} was never asked to stop`),
    ...stops.flatMap(({ name, exit, tookMs }) => [
      ...(exit === 0 ? [] : [`${name} exited with ${exit} on SIGTERM`]),
      ...(tookMs <= STOP_MS ? [] : [`${name} took ${(tookMs / 1000).toFixed(1)} s to stop on SIGTERM`]),
    ]),
  ];
}

/** The refusals that are expected. The callers make no other mistakes. */
const REFUSALS: Readonly<Record<string, number>> = {
  'insufficient-stock': 409,
  'price-changed': 409,
  'stock-reserved': 409,
  'order-wrong-status': 409,
  'payment-already-decided': 409,
  'version-conflict': 412,
  // A cart whose last item was removed by an unanswered request.
  'order-empty': 422,
  // An item that was removed by an unanswered request. This is checked before its version (RFC 9110, section 13.2.1).
  'item-not-found': 404,
  'webhook-not-genuine': 401,
};

/** P8: separateRelay from expected refusals, the only permitted error is an unavailable database. A 500 is a bug. */
export function answersAreExpected({ answers }: Facts): string[] {
  return answers
    .filter(({ status, code }) => !(status < 300 || status === 503 || REFUSALS[code] === status))
    .map(({ status, code, count }) => `${count} answers were ${status} ${code}`);
}

/**
 * P2 P3: parked messages were handled eventually, those of a key in the order in which they were committed, and before any later message
 * of the key.
 */
export function parkedAreHandledInOrder(
  facts: Pick<Facts, 'parkings' | 'recordings' | 'outbox' | 'parked' | 'faults'>,
): string[] {
  const positions = new Map(facts.outbox.map(({ id, key, position }) => [id, { key, position }]));
  const ofKeys = Map.groupBy(
    facts.parkings.filter(({ holdsKey }) => holdsKey),
    ({ consumer, key }) => `${consumer} ${key}`,
  );
  const handledOf = Map.groupBy(
    facts.recordings.flatMap(({ consumer, messageId, at }) => {
      const message = positions.get(messageId);
      return message ? [{ consumer, messageId, at, ...message }] : [];
    }),
    ({ consumer, key }) => `${consumer} ${key}`,
  );
  return [...ofKeys].flatMap(([name, parkings]) => {
    const committed = parkings.map(({ messageId }) => positions.get(messageId ?? '')?.position ?? Number.NaN);
    const [{ consumer, key } = { consumer: '', key: '' }] = parkings;
    if (committed.some((position, n) => n > 0 && !(position > (committed[n - 1] ?? 0))))
      return [`${consumer} parked messages of ${key} in a different order than they were committed`];
    const went = parkings.flatMap((parking) => parking.went ?? []);
    const left = parkings.findIndex((parking) => parking.went === null);
    // Messages wait behind an explained dead letter, unless the consumer continues without it.
    const excused = excusedKeys(facts, [consumer]).has(key);
    const isHeld = left < 0 || went.length === left || excused;
    const isOrdered = went.every((moment, n) => n === 0 || moment > (went[n - 1] ?? 0));
    const parkedIds = new Set(parkings.map(({ messageId }) => messageId));
    const direct = (handledOf.get(name) ?? []).filter(({ messageId }) => !parkedIds.has(messageId));
    const isOvertaken = parkings.some((parking, n) =>
      direct.some(({ position, at }) => position > (committed[n] ?? 0) && !(at > (parking.went ?? Infinity))),
    );
    return isOrdered && isHeld && (!isOvertaken || excused)
      ? []
      : [`${consumer} handled parked messages of ${key} out of order`];
  });
}

/**
 * P8: a service that cannot process a request answers 503 in time. Each fault between the process and its database, and a slow database,
 * may add one time limit; so may the backlog of earlier faults if another fault coincides with it. Only a process that was itself stopped
 * is excused.
 */
export function unavailableInTime({ slowRefusals, faults }: Facts): string[] {
  return slowRefusals
    .filter(({ process, at, tookMs }) => {
      const isMet = ({ kind, target }: Facts['faults'][number]) =>
        target === 'postgres' || target === `${process} → postgres` || kind === 'database slow';
      const around = during(faults, at, at + tookMs);
      if (around.some(({ target }) => target === process)) return false;
      const met = around.filter(isMet);
      const isQueued = during(faults, at, at + tookMs, AFTERMATH_MS).filter(isMet).length > met.length;
      // A slow link or database delays more than one statement of a request.
      const limits = met.reduce((sum, { kind }) => sum + (kind.endsWith(' slow') ? 2 : 1), isQueued ? 1 : 0);
      return tookMs > UNAVAILABLE_MS * Math.max(1, limits);
    })
    .map(({ process, code, tookMs }) => `${process} took ${(tookMs / 1000).toFixed(2)} s to answer 503 ${code}`);
}

/** The maximum time from the death of a leader until a standby takes over the lease. */
const TAKE_OVER_MS = 5000;
const RENEWED_EVERY_MS = 1000;
/** How long after a fault its target may still be affected: a process starts, a server recovers, a connection is reestablished. */
const AFTERMATH_MS = 5000;

/** P8: a standby takes over in time. Judged only if no fault hit the database or both of the relays. */
export function takeOversInTime(facts: Pick<Facts, 'takeOvers' | 'faults' | 'processes'>): string[] {
  return judgedTakeOvers(facts)
    .filter(({ tookMs }) => tookMs > TAKE_OVER_MS)
    .map(({ service, tookMs }) => `the relay of ${service} was taken over after ${(tookMs / 1000).toFixed(1)} s`);
}

/** Returns the take-overs that no fault excuses, and how long each took from the death of the leader. */
export function judgedTakeOvers({
  takeOvers,
  faults,
  processes,
}: Pick<Facts, 'takeOvers' | 'faults' | 'processes'>): { service: ServiceName; tookMs: number }[] {
  const separateRelay = processes.find((name) => name.includes(' relay/'));
  return takeOvers.flatMap(({ service, since, released, at }) => {
    // If the service has separate relay processes, only those can lead.
    const canLead = (target: string) =>
      serviceOf(target) === service &&
      !/ → kafka(-\d+)?$/.test(target) &&
      (separateRelay === undefined || serviceOf(separateRelay) !== service || target.includes(' relay/'));
    const around = during(faults, since - RENEWED_EVERY_MS, at, AFTERMATH_MS).filter(
      ({ target }) => canLead(target) || target === 'postgres',
    );
    const hit = new Set(around.map(({ target }) => target.replace(/ → postgres$/, '')));
    if (hit.has('postgres') || hit.size > 1) return [];
    // The leader renews its lease once a second and died after the last renewal: at the time of the fault, if there was one.
    const deaths = around
      .map((fault) => fault.at)
      .filter((death) => death > since && death <= since + RENEWED_EVERY_MS);
    const died = released ? since : Math.max(since, ...deaths);
    const unknown = !released && deaths.length === 0 ? RENEWED_EVERY_MS : 0;
    return [{ service, tookMs: at - died - unknown }];
  });
}

function during(faults: Facts['faults'], from: number, to: number, aftermathMs = 0): Facts['faults'] {
  return faults.filter(({ at, until }) => at <= to && until + aftermathMs >= from);
}
