import { type InboxLetter, type OutboxLetter } from '@twinbox/client/admin';

/** A dead letter of either box. */
export type DeadLetter = InboxLetter | OutboxLetter;
