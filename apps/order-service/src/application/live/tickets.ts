/** The user who may open a stream with a ticket. */
export interface TicketHolder {
  readonly userId: string;
  readonly roles: readonly string[];
  readonly expiresAt: Date;
  /** The key that signed the user's token; null if the token names none. */
  readonly keyId: string | null;
}

/** Why a ticket is not valid for a use. */
export type TicketRefusal = 'unknown' | 'other-stream' | 'expired' | 'used';

export interface NewTicket extends Omit<TicketHolder, 'expiresAt' | 'keyId'> {
  readonly hash: Buffer;
  /** The order whose stream it opens; null for the stream of all orders that the user may see. */
  readonly orderId: string | null;
  /** When the user's token expires, if it does. */
  readonly expiresAt: Date | undefined;
  readonly keyId: string | undefined;
}

export interface TicketTimes {
  readonly useBy: Date;
  readonly expiresAt: Date;
}

/** A use of a ticket. Only one that `resumes` is valid after the first. */
export interface TicketUse {
  readonly hash: Buffer;
  readonly resumes: boolean;
}

/** Keeps tickets where all replicas find them, by their hashes. */
export abstract class TicketStore {
  /** Adds a ticket, and removes the user's oldest ones if there are too many. */
  abstract add(ticket: NewTicket): Promise<TicketTimes>;
  /** Returns the holder of a ticket, or why it is not valid for this use and this stream. */
  abstract holderOf(use: TicketUse, orderId: string | null): Promise<TicketHolder | TicketRefusal>;
  /** Records a use, and returns how many there have been. Undefined if the ticket is no longer valid for it. */
  abstract use(use: TicketUse): Promise<number | undefined>;
  /** Returns how often each of the tickets has been used, by its hash in hex. */
  abstract usesOf(hashes: readonly string[]): Promise<ReadonlyMap<string, number>>;
}
