import { type Facts, type ParkedFact } from './facts.js';
import { type ServiceName, serviceOf } from './schedule.js';

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

/** The orders that go no further because of an explained dead letter of these services. */
export function keysOfExplained(
  facts: Pick<Facts, 'parked' | 'faults'>,
  services: readonly ServiceName[],
): Set<string> {
  return new Set(
    facts.parked
      .filter((parked) => services.includes(parked.service) && isExplained(parked, facts))
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
    ({ service, box, key, deadAt }) =>
      deadAt === null && !(box === 'inbox' && keysOfExplained(facts, [service]).has(key)),
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
