import { type InjectedFault } from '../faults/schedule.js';
import { setTimeout as delay } from 'node:timers/promises';
import { outboxOf, parkedIn, paymentRequestsOf, relaysOf } from './databases.js';
import { waiting } from '../judge/judge-rest.js';
import { CONSUMERS, type System, TOPICS } from './system.js';
import { endsOf, type kafkaClient, lagOf, type TopicLog } from './topic-log.js';

/** The maximum time for the system to become idle after everything has been healed. */
export const SETTLE_MS = 120_000;
const LOG_EVERY_MS = 5000;

/** What is inspected to find unfinished work. */
interface Observed {
  readonly system: System;
  readonly kafka: ReturnType<typeof kafkaClient>;
  readonly live: TopicLog;
  readonly faults: readonly InjectedFault[];
}

/** Waits until the system is idle. Returns undefined then, or a description of the unfinished work after {@link SETTLE_MS}. */
export async function settle(
  observed: Observed,
  signal: AbortSignal,
  log: (what: string) => void,
): Promise<string | undefined> {
  const deadline = performance.now() + SETTLE_MS;
  let before: string | undefined;
  let logAt = performance.now() + LOG_EVERY_MS;
  for (;;) {
    const unfinished = await unfinishedWork(observed).catch(String);
    if (unfinished !== undefined && performance.now() > logAt) {
      log(`still waiting: ${unfinished}`);
      logAt = performance.now() + LOG_EVERY_MS;
    }
    const ends = unfinished === undefined ? await endsOf(observed.kafka, TOPICS).catch(() => undefined) : undefined;
    const current = ends && JSON.stringify([...ends]);
    // Idle twice with nothing published in between: no message can have moved from a part inspected later to one inspected earlier.
    if (current !== undefined && current === before) return undefined;
    before = current;
    signal.throwIfAborted();
    if (performance.now() > deadline) return unfinished ?? 'messages are still being published';
    await delay(300, undefined, { signal }).catch(() => undefined);
  }
}

async function unfinishedWork({ system, kafka, live, faults }: Observed): Promise<string | undefined> {
  const { database, processes } = system;
  const outbox = await outboxOf(database);
  const unseen = outbox.filter(({ id }) => !live.has(id)).length;
  if (unseen > 0) return `${unseen} messages of the outboxes have not arrived on their topics`;
  const pending = outbox.filter((row) => row.pending).length;
  if (pending > 0) return `${pending} messages of the outboxes are not recorded as published`;
  const gaps = (await relaysOf(database)).reduce((sum, relay) => sum + relay.gaps, 0);
  if (gaps > 0) return `the relays have ${gaps} open gaps`;
  for (const { groupId, topic } of CONSUMERS) {
    const lag = await lagOf(kafka, groupId, topic);
    if (lag > 0) return `${groupId} is ${lag} messages behind on ${topic}`;
  }
  const parked = waiting({ parked: await parkedIn(database), faults }).length;
  if (parked > 0) return `${parked} messages and jobs are still waiting`;
  const open = (await paymentRequestsOf(database)).filter(({ status }) =>
    ['PENDING', 'REFUND_PENDING'].includes(status),
  );
  if (open.length > 0) return `${open.length} payments are not settled, expired or refunded yet`;
  for (const { name, url } of processes.values()) {
    const { status } = await fetch(`${url}/health`, { signal: AbortSignal.timeout(3000) });
    if (status !== 200) return `${name} answers ${status} on /health`;
  }
  return undefined;
}
