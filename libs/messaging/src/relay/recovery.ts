import { type Logger } from '@nestjs/common';
import { describeError } from '../errors.js';
import { type WentBack } from '../log/log-origin.js';
import { type MessagingOptions } from '../messaging-options.js';
import { isAnswer } from '../postgres/connection.js';
import { type LeaderTerm } from './leader-term.js';
import { findReleased } from './released-messages.js';
import { TermOver } from './sender.js';

/**
 * Recovers after positions went back. Reports the incident, publishes the unpublished messages that were written before, and
 * starts a new term at a valid position, which is the start if the recorded one is invalid. Until then nothing is recorded, so
 * the successor of a relay that dies here repeats the recovery. Messages may be duplicated, but are never lost or reordered.
 * @throws TermOver if this process may no longer publish, or the relay is paused
 */
export async function recover(
  term: LeaderTerm,
  wentBack: WentBack,
  { schema, afterDeadLetter }: MessagingOptions,
  logger: Logger,
): Promise<void> {
  const { parkedStore, mayGoOn } = term;
  const { ofLog, fromStart, keepsOld } = wentBack;
  await report(term, wentBack, schema, logger);
  if (ofLog) await parkedStore.moveParkedBack();
  for (let more = keepsOld; more && mayGoOn();) {
    // Keys with parked messages are held. Released messages are published in the next term.
    if (term.parkedChanged) await findReleased(term, afterDeadLetter === 'go-on');
    ({ more } = await term.drain('old'));
  }
  if (!mayGoOn()) throw new TermOver();
  // Remaining messages of blocked types come before everything that is written from now on.
  if (fromStart && term.routes.waiting.size > 0) await parkedStore.parkOld([...term.routes.waiting.keys()]);
  // Messages parked meanwhile have positions that will be reused.
  if (ofLog) await parkedStore.moveParkedBack();
  if (!mayGoOn()) throw new TermOver();
  term.lease.startOver();
}

/** Logs the incident, and records it for operators. */
async function report(
  { lease, store }: LeaderTerm,
  { reason, fromStart }: WentBack,
  schema: string,
  logger: Logger,
): Promise<void> {
  const then = fromStart
    ? 'Everything still in the outbox is published again'
    : 'Publishing continues from the recorded position';
  const problem =
    `${reason}. ${then}, and consumers drop the duplicates. ` +
    `Find out who reset the outbox or restored the database, and whether committed messages were removed before they were published`;
  logger.error(`positions-went-back on ${schema}.outbox: ${problem}`);
  try {
    const detail = { position: lease.published?.position, sequence: lease.log?.lastPosition };
    await store.report({ kind: 'positions-went-back', subject: `${schema}.outbox`, problem, detail });
  } catch (error) {
    if (!isAnswer(error)) throw error;
    logger.error(`Cannot record the incident: ${describeError(error)}`);
  }
}
