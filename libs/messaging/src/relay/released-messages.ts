import { type LeaderTerm } from './leader-term.js';
import { type Publisher } from './publisher.js';

/** How long released messages are sent between two reads of new messages. */
const SLICE_MS = 50;

/**
 * Holds every key with parked messages, and finds the released ones, which have no dead letter before them. With `goOn`, a dead
 * letter does not hold its key.
 */
export async function findReleased(term: LeaderTerm, goOn: boolean): Promise<void> {
  term.parkedChanged = false;
  const { parked, released } = term;
  parked.clear();
  released.clear();
  for (const key of await term.parkedStore.parkedKeys()) {
    const before = goOn ? undefined : key.dead;
    const isReleased = key.waiting !== undefined && (before === undefined || key.waiting < before);
    if (isReleased) released.add({ ...key, before });
    // A key is also held while its released messages are published, because its newer messages wait behind them.
    if (isReleased || !goOn) parked.add(key);
  }
}

/** Publishes released messages for a while, key by key and each in order. A key is free once its last one is published. */
export async function publishReleased(term: LeaderTerm, publisher: Publisher): Promise<void> {
  const { parked, released, routes } = term;
  const end = performance.now() + SLICE_MS;
  for (let key = released.next(routes); key && performance.now() < end && term.mayGoOn(); key = released.next(routes)) {
    const { aggregatetype, before } = key;
    const { cursor } = term;
    const block = (error?: unknown) => {
      routes.block(aggregatetype, cursor.position + 1, error);
      term.updateWaiting(cursor);
    };
    if (!routes.isDeclared(aggregatetype)) {
      block();
      continue;
    }
    const outcome = await publisher.release(key, term, block);
    if (outcome === 'done' && before === undefined) parked.delete(key);
    if (outcome === 'done' || outcome === 'refused') released.delete(key);
  }
}
