import { type LeaderTerm, READ_BYTES, READ_ROWS } from './leader-term.js';
import { type Publisher, TopicFailure } from './publisher.js';
import { TermOver } from './sender.js';

/** How many messages one search for the messages of a blocked type scans. */
const MAX_SCANNED_ROWS = 20_000;

/**
 * Retries the topics of blocked types whose back-off is over, and publishes some of their waiting messages. Returns true while
 * there are more. A type stays blocked until all of its skipped messages are published, so that none is overtaken (P3).
 */
export async function resumeBlocked(term: LeaderTerm, publisher: Publisher): Promise<boolean> {
  let more = false;
  for (const { aggregateType, from } of term.routes.due()) {
    if (!term.mayGoOn()) return false;
    const startedAt = performance.now();
    try {
      const done = await resume(aggregateType, from, term, publisher);
      more ||= !done;
    } catch (error) {
      if (!(error instanceof TopicFailure)) throw error;
      term.routes.failed(aggregateType, error.cause, performance.now() - startedAt);
    }
  }
  return more;
}

/** Returns whether all waiting messages of the type are published, so that it is no longer blocked. */
async function resume(aggregateType: string, from: number, term: LeaderTerm, publisher: Publisher): Promise<boolean> {
  const { released, routes, cursor } = term;
  const bounds = { limit: READ_ROWS, bytes: READ_BYTES, maxScanned: MAX_SCANNED_ROWS, location: term.location };
  const { rows, upTo, logMatches } = await term.store.readWaiting(aggregateType, from, cursor, bounds);
  if (!logMatches) {
    // The poll finds out why.
    await term.lease.renew();
    throw new TermOver();
  }
  const advance = (to: number, messages: number) => {
    routes.advanced(aggregateType, to, messages);
    term.updateWaiting(cursor);
  };
  await publisher.catchUp(rows, term, (batch) => {
    advance(Number(batch.at(-1)?.position) + 1, batch.length);
    term.recordSoon(batch.length);
  });
  advance(upTo + 1, 0);
  if (upTo < cursor.position) return false;
  const key = rows.length === 0 ? released.ofType(aggregateType) : undefined;
  // Only a released message can show whether the topic works.
  const probed = key && (await publisher.probe(key, term));
  // It is a dead letter again, and the messages released behind it wait.
  if (key && probed === 'refused') released.delete(key);
  routes.unblock(aggregateType);
  term.updateWaiting(cursor);
  // The removal of old messages has skipped this type's messages and must start over to find them.
  term.lookForOldMessagesAgain();
  return true;
}
