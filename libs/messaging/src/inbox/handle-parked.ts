import { type EntityManager } from 'typeorm';
import { type InboxWork } from './inbox-work.js';
import { type Taken } from './parked-store.js';
import { KeyHeldError, UnknownTypeError, UnreadableError } from './parked-verdict.js';

/** Reads a parked message again and runs its handler. @throws one of the errors of parked-verdict.ts, or the handler's */
export async function handleParked(work: InboxWork, tx: EntityManager, { record, holdsKey }: Taken): Promise<void> {
  const reading = work.read(record);
  if (!reading.readable) {
    // A process of a newer version, whose contract names the type, parked the message. It must not be ignored: it is recorded in
    // the inbox, so no replay would deliver it.
    const isNewer = reading.unknownType && holdsKey && work.settings.ignoresUnknownTypes;
    throw isNewer ? new UnknownTypeError(reading.reason) : new UnreadableError(reading.reason);
  }
  // A message that was unreadable when it was parked is not in the inbox yet.
  const recorded = holdsKey ? 'new' : await work.store.record(tx, reading.message);
  if (recorded === 'held') throw new KeyHeldError('an earlier message of its key is parked');
  if (recorded === 'new' && work.handles(reading.message.type)) await work.handle(tx, reading.message);
}
