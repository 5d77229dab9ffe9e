/** Tells the processes of the schema that rows were committed, the lease is free, or an operator changed parked messages or pauses. */
export type OutboxNotice = 'committed' | 'lease-released' | 'parked-changed' | 'pauses-changed';

/** Returns the name of the channel on which the processes of a schema notify each other. */
export function channelOf(schema: string): string {
  return `${schema}_outbox`;
}
