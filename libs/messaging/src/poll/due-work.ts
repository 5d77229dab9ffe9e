import { Injectable } from '@nestjs/common';
import { type Attention } from '../operations/attention.js';
import { type DueSince } from '../postgres/due-range.js';
import { type Incident } from '../operations/incident.js';
import { KnownPauses } from '../operations/known-pauses.js';

/** `operations`: an open operation has no live runner. */
export type DueKind = 'parked' | 'jobs' | 'operations';

/**
 * Wakes the workers that process parked messages and jobs. The process's poll, once a second, finds everything that is due,
 * including what other processes stored. What this process stored itself is reported at once.
 */
@Injectable()
export class DueWork {
  /** Kept from poll to poll, and across reconnections. */
  readonly since: DueSince = { parked: null, jobs: {} };
  /** What an operator has paused, as of the latest poll. */
  readonly pauses = new KnownPauses();
  private readonly listeners = new Map<DueKind, Set<() => void>>();
  /** Receives the open incidents of every poll. */
  incidentsFound: (open: readonly Incident[]) => void = () => undefined;
  /** Receives what needs an operator's attention, whenever a poll has looked for it. */
  attentionFound: (attention: Attention) => void = () => undefined;

  /** `wake` must return at once and not throw. */
  on(kind: DueKind, wake: () => void): void {
    const listeners = this.listeners.get(kind) ?? new Set();
    this.listeners.set(kind, listeners.add(wake));
  }

  /** Wakes the listeners, because work of this kind may be due. */
  found(kind: DueKind): void {
    this.listeners.get(kind)?.forEach((wake) => wake());
  }
}
