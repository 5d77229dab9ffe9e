/** What an operator can pause: a consumer by its group, a job queue, or the relay of the schema. */
export const PAUSE_KINDS = ['consumer', 'queue', 'relay'] as const;
export type PauseKind = (typeof PAUSE_KINDS)[number];
/** The name of the relay, of which a schema has one. */
export const RELAY = 'relay';

/** Something that an operator has paused. */
export interface Pause {
  readonly kind: PauseKind;
  readonly name: string;
  readonly since: Date;
  readonly actor: string;
  readonly reason: string | null;
}

/** What a paused component adds to its health. */
export interface PausedHealth {
  readonly paused: true;
  readonly pausedSince: string;
  readonly pausedBy: string;
}

/**
 * What this process knows to be paused. Every poll brings it up to date, and it stays as it is while the database is unreachable.
 * The listeners are the workers, which check it before they start anything.
 */
export class KnownPauses {
  /** By kind and name; undefined until the first poll has answered. */
  private known: ReadonlyMap<string, Pause> | undefined = new Map();
  private readonly listeners = new Set<() => void>();

  /** Called by a process whose poll reads the pauses. Until they are found, nothing may run, because everything may be paused. */
  areRead(): void {
    this.known = undefined;
  }

  /** Calls `changed` whenever something was paused or resumed. It must return at once and not throw. */
  onChange(changed: () => void): void {
    this.listeners.add(changed);
  }

  /** Whether this must not start anything: it is paused, or may be because the pauses are not known yet. */
  stops(kind: PauseKind, name: string): boolean {
    return this.known === undefined || this.known.has(keyOf(kind, name));
  }

  /** The pause of this, if there is one. */
  of(kind: PauseKind, name: string): Pause | undefined {
    return this.known?.get(keyOf(kind, name));
  }

  /** Returns what the health of this component reports about its pause. */
  healthOf(kind: PauseKind, name: string): PausedHealth | undefined {
    const pause = this.of(kind, name);
    return pause && { paused: true, pausedSince: pause.since.toISOString(), pausedBy: pause.actor };
  }

  /** Takes what a poll has read. */
  found(pauses: readonly Pause[]): void {
    const before = this.known;
    this.known = new Map(pauses.map((pause) => [keyOf(pause.kind, pause.name), pause]));
    const isSame = before?.size === this.known.size && [...this.known.keys()].every((key) => before.has(key));
    if (!isSame) this.listeners.forEach((changed) => changed());
  }
}

function keyOf(kind: PauseKind, name: string): string {
  return `${kind} ${name}`;
}
