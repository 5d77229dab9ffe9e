import { type Facts, type ParkedFact } from './facts.js';
import { serviceOf, type ServiceName } from './schedule.js';
import { UNAVAILABLE_MS } from './calls.js';

/** P8 */
const STOP_MS = 10_000;

/**
 * The mark of whoever handled the last message of the partition, and one that was left by who had it before and died, or lost
 * it, with more in hand. The next message takes the place of both.
 */
const MARKS_A_PARTITION = 2;

/**
 * The one lawful dead letter: a message blamed for the deaths of processes that had nothing else in hand. It takes as many
 * deaths as the letter tells of: processes of this service that were killed, or paused until they counted as dead, while the
 * message was there and no letter yet.
 */
export function isExplained(
  { service, box, error, writtenAt, deadAt }: ParkedFact,
  { faults }: Pick<Facts, 'faults'>,
): boolean {
  const told = /^the process died (\d+) times\b/.exec(error);
  if (box !== 'inbox' || deadAt === null || !told) return false;
  const deaths = faults.filter(
    ({ kind, target, at }) =>
      (kind === 'service killed' || kind === 'service paused') &&
      serviceOf(target) === service &&
      // A relay of its own consumes nothing.
      !target.includes(' relay/') &&
      at > writtenAt &&
      at <= deadAt,
  );
  const count = Number(told[1]);
  return count > 0 && deaths.length >= count;
}

/** The orders of which these consumers hear no more, because of an explained dead letter. */
export function keysOfExplained(facts: Pick<Facts, 'parked' | 'faults'>, consumers: readonly string[]): Set<string> {
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

/** Whatever waits although nothing stands before it that may; what an explained letter holds waits for a person. */
export function waiting(facts: Pick<Facts, 'parked' | 'faults'>): ParkedFact[] {
  return facts.parked.filter(
    ({ box, consumer, key, deadAt }) =>
      deadAt === null && !(box === 'inbox' && keysOfExplained(facts, [consumer]).has(key)),
  );
}

export function parkedMessages(facts: Facts): string[] {
  return waiting(facts).map(
    ({ service, box, id, key, error }) => `${id} of ${key} waits in the ${box} of ${service}: ${error || 'no error'}`,
  );
}

/** A relay that starts next would publish what is pending once more, and look for what is in a gap for ever. */
export function relaysAtRest({ outbox, relays }: Facts): string[] {
  return [
    ...outbox
      .filter(({ pending }) => pending)
      .map(({ topic, id, position }) => `message ${id} of ${topic}, at position ${position}, is not told as published`),
    ...relays
      .filter(({ gaps }) => gaps > 0)
      .map(({ service, gaps }) => `the relay of ${service} has ${gaps} gaps open`),
  ];
}

export function marksLeft({ marks }: Facts): string[] {
  return marks
    .filter((found) => found.marks > MARKS_A_PARTITION)
    .map((found) => `${found.consumer} has ${found.marks} marks on ${found.place} ${found.when}`);
}

/** P8. A process that nobody asked to end has proven nothing. */
export function stopsInTime({ processes, stops }: Facts): string[] {
  return [
    ...processes
      .filter((name) => !stops.some((stop) => stop.name === name))
      .map((name) => `${name} was never asked to end`),
    ...stops.flatMap(({ name, exit, tookMs }) => [
      ...(exit === 0 ? [] : [`${name} ended with ${exit} on SIGTERM`]),
      ...(tookMs <= STOP_MS ? [] : [`${name} took ${(tookMs / 1000).toFixed(1)} s to end on SIGTERM`]),
    ]),
  ];
}

/** What the rules say no to. Whoever calls makes no other mistakes. */
const REFUSALS: Readonly<Record<string, number>> = {
  'insufficient-stock': 409,
  'price-changed': 409,
  'stock-reserved': 409,
  'order-wrong-status': 409,
  'payment-already-decided': 409,
  'version-conflict': 412,
  // A cart whose last piece was taken out by a request without an answer.
  'order-empty': 422,
  // An item that a request without an answer took out; it is missing before its version is compared (RFC 9110, section 13.2.1).
  'item-not-found': 404,
  'webhook-not-genuine': 401,
};

/** P8: all that may fail otherwise is that the database is away. A 500 is a bug. */
export function answersAreLawful({ answers }: Facts): string[] {
  return answers
    .filter(({ status, code }) => !(status < 300 || status === 503 || REFUSALS[code] === status))
    .map(({ status, code, count }) => `${count} answers were ${status} ${code}`);
}

/**
 * P2 P3: messages that were parked came back, those of a key in the order in which they were committed, and before any later
 * message of the key was handled.
 */
export function parkedCameBackInOrder(
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
      return [`${consumer} parked messages of ${key} in another order than they were committed`];
    const went = parkings.flatMap((parking) => parking.went ?? []);
    const left = parkings.findIndex((parking) => parking.went === null);
    // What an explained dead letter holds waits behind it, unless the consumer goes on without it.
    const excused = keysOfExplained(facts, [consumer]).has(key);
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
 * P8. Each fault between a process and its database, and a database that is slow and not away, may cost a request one time limit
 * more; so may the queue that earlier ones have left, where another fault meets it. Only a process that was stopped itself is
 * excused.
 */
export function refusalsInTime({ slowRefusals, faults }: Facts): string[] {
  return slowRefusals
    .filter(({ process, at, tookMs }) => {
      const isMet = ({ kind, target }: Facts['faults'][number]) =>
        target === 'postgres' || target === `${process} → postgres` || kind === 'database slow';
      const around = during(faults, at, at + tookMs);
      if (around.some(({ target }) => target === process)) return false;
      const met = around.filter(isMet);
      const isQueued = during(faults, at, at + tookMs, AFTERMATH_MS).filter(isMet).length > met.length;
      // What is slow makes a request wait for more than one statement.
      const limits = met.reduce((sum, { kind }) => sum + (kind.endsWith(' slow') ? 2 : 1), isQueued ? 1 : 0);
      return tookMs > UNAVAILABLE_MS * Math.max(1, limits);
    })
    .map(({ process, code, tookMs }) => `${process} took ${(tookMs / 1000).toFixed(2)} s to answer 503 ${code}`);
}

/** How soon a standby takes the lease after its leader has died. */
const TAKE_OVER_MS = 5000;
const RENEWED_EVERY_MS = 1000;
/** So long after a fault its target may still be busy with it: a process starts, a server recovers, a connection is made anew. */
const AFTERMATH_MS = 5000;

/** P8. Counted only where one of the two relays, and the database, were left alone. */
export function takeOversInTime(facts: Pick<Facts, 'takeOvers' | 'faults' | 'processes'>): string[] {
  return judgedTakeOvers(facts)
    .filter(({ tookMs }) => tookMs > TAKE_OVER_MS)
    .map(({ service, tookMs }) => `the relay of ${service} was taken over after ${(tookMs / 1000).toFixed(1)} s`);
}

/** The take-overs that nothing excuses, and how long each took from the death of the leader. */
export function judgedTakeOvers({
  takeOvers,
  faults,
  processes,
}: Pick<Facts, 'takeOvers' | 'faults' | 'processes'>): { service: ServiceName; tookMs: number }[] {
  const apart = processes.find((name) => name.includes(' relay/'));
  return takeOvers.flatMap(({ service, since, released, at }) => {
    // Where relays are processes of their own, only these can lead.
    const canLead = (target: string) =>
      serviceOf(target) === service &&
      !target.endsWith(' → kafka') &&
      (apart === undefined || serviceOf(apart) !== service || target.includes(' relay/'));
    const around = during(faults, since - RENEWED_EVERY_MS, at, AFTERMATH_MS).filter(
      ({ target }) => canLead(target) || target === 'postgres',
    );
    const hit = new Set(around.map(({ target }) => target.replace(/ → postgres$/, '')));
    if (hit.has('postgres') || hit.size > 1) return [];
    // It renewed its lease once a second, and died after the last time: of the fault, if one is known.
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
