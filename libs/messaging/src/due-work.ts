import { Injectable } from '@nestjs/common';
import { type Attention } from './attention.js';
import { type DueSince } from './due-range.js';
import { type Incident } from './incidents.js';

export type DueKind = 'parked' | 'jobs';

/**
 * Wakes those who work off what the database keeps for later: parked messages and jobs. The process's one poll a second finds
 * what is due, whoever put it there; what this process itself has put there is told at once.
 */
@Injectable()
export class DueWork {
  /** The queues whose jobs this process runs: those of others are not looked for. */
  readonly queues: string[] = [];
  /** Kept from poll to poll, through new connections too. */
  readonly since: DueSince = { parked: null, jobs: {} };
  private readonly listeners = new Map<DueKind, Set<() => void>>();
  /** Receives the open incidents of every poll. */
  incidentsFound: (open: readonly Incident[]) => void = () => undefined;
  /** Receives what waits for a person, each time that a poll has looked. */
  attentionFound: (attention: Attention) => void = () => undefined;

  /** `wake` must return at once and not throw. */
  on(kind: DueKind, wake: () => void): void {
    const listeners = this.listeners.get(kind) ?? new Set();
    this.listeners.set(kind, listeners.add(wake));
  }

  /** Something of the kind may be due. */
  found(kind: DueKind): void {
    this.listeners.get(kind)?.forEach((wake) => wake());
  }
}
