import { type Connection, type HttpRequest } from './connection.js';
import { isProblem, type TwinboxConnectionError, type TwinboxProblem } from './errors.js';
import { EventConnection } from './event-connection.js';
import { type EventFrame } from './event-frames.js';
import { type CallOptions } from './options.js';
import { mayPass } from './retries.js';
import { type Positioned, SeenPositions } from './seen-positions.js';
import { backoff, wait } from './wait.js';

/** How live updates are followed. */
export interface EventsOptions extends Pick<CallOptions, 'signal' | 'headers'> {
  /** The `lastEventId` of an event that was received before. What has happened since then comes first. */
  readonly lastEventId?: string;
  /** How long the stream may be silent before it counts as broken, in milliseconds. Default 40,000; the service sends something every 15 s. */
  readonly silenceMs?: number;
  /**
   * Called once the stream is open, before its first event, unless `lastEventId` is given, and again if the place to resume from is lost: too
   * much was missed, or the database was restored. Load what you show in it, and you miss nothing. Without it, the iterator throws the problem
   * in that case. If it throws a problem or a connection error that may pass, the stream is interrupted, and `load` is called again. The
   * iterator throws its other errors.
   */
  readonly load?: () => unknown;
  /**
   * Called when the stream was interrupted, with the reason, or without one if the service has ended it, as it does when it shuts down or
   * the token has expired. The iterator resumes it by itself.
   */
  readonly onInterrupted?: (reason: TwinboxProblem | TwinboxConnectionError | undefined) => void;
  /** Called when the stream is open again after it was interrupted, before what was missed. */
  readonly onResumed?: () => void;
}

const SILENCE_MS = 40_000;

/** An event, and the place to resume from after it. */
export type Received<E> = E & { readonly lastEventId: string };

/** A stream of events. */
export interface EventsAt {
  readonly url: string;
  /** Whether a new stream begins with the latest event, as that of a single order does. */
  readonly beginsWithLatest: boolean;
}

/** The only name of events. Others may be added later. */
const EVENT = 'order';
const PAUSE = { first: 500, most: 30_000 };

/** Live updates of orders, over any number of connections. */
export class LiveUpdates<E extends Positioned> {
  private readonly seen = new SeenPositions();
  private lastEventId: string | undefined;
  private isLoaded: boolean;
  private hasEvent = false;
  private wasOpen = false;
  private isInterrupted = false;
  private failures = 0;
  private pauseMs = 0;
  private firstPauseMs = PAUSE.first;

  constructor(
    private readonly connection: Connection,
    private readonly stream: EventsAt,
    private readonly options: EventsOptions,
  ) {
    this.lastEventId = options.lastEventId;
    this.isLoaded = this.lastEventId !== undefined;
  }

  /** Iterates over the events, each of them once, and resumes the stream whenever it is interrupted. */
  async *events(): AsyncGenerator<Received<E>, void, undefined> {
    const { signal, silenceMs = SILENCE_MS } = this.options;
    for (;;) {
      const stream = new EventConnection(this.connection, this.request(), { signal, silenceMs });
      try {
        for (let frame = await this.next(stream); frame; frame = await this.next(stream)) yield* this.eventIn(frame);
      } finally {
        stream.close();
      }
      await wait(this.pauseMs, signal);
    }
  }

  private request(): HttpRequest {
    const headers = new Headers(this.options.headers);
    headers.set('accept', 'text/event-stream');
    if (this.lastEventId !== undefined) headers.set('last-event-id', this.lastEventId);
    return { method: 'GET', url: this.stream.url, headers };
  }

  /** Returns undefined if the stream was interrupted. @throws what another attempt would not change */
  private async next(stream: EventConnection): Promise<EventFrame | undefined> {
    try {
      const frame = await stream.next();
      if (frame) await this.moveTo(frame);
      else this.interrupted(undefined);
      return frame;
    } catch (error) {
      this.interrupted(error);
      return undefined;
    }
  }

  private interrupted(reason: unknown): void {
    const { signal, load, onInterrupted } = this.options;
    signal?.throwIfAborted();
    const asked = isProblem(reason) ? (reason.retryAfterMs ?? 0) : 0;
    this.pauseMs = asked + backoff(++this.failures, { ...PAUSE, first: this.firstPauseMs });
    if (isProblem(reason, 'event-unknown', 'backlog-too-long') && this.lastEventId !== undefined && load) {
      // A restored database numbers its next steps again.
      if (reason.code === 'event-unknown') this.seen.clear();
      return this.startFrom(undefined);
    }
    if (reason !== undefined && !this.mayResume(reason)) throw reason;
    if (!this.isLoaded) this.startFrom(undefined);
    // Its first id comes before the latest event, which a stream that resumes from there would not send.
    else if (this.stream.beginsWithLatest && !this.hasEvent) this.startFrom(this.options.lastEventId);
    this.isInterrupted = true;
    onInterrupted?.(reason);
  }

  /** A request that has opened a stream before does not cause an error in the service by itself. */
  private mayResume(reason: unknown): reason is TwinboxProblem | TwinboxConnectionError {
    return mayPass(reason) || (this.wasOpen && isProblem(reason) && reason.status >= 500);
  }

  private startFrom(lastEventId: string | undefined): void {
    this.lastEventId = lastEventId;
    this.isLoaded = lastEventId !== undefined;
    this.hasEvent = false;
  }

  /** Moves the place to resume from. Before the first id there is none, so nothing is promised until then. */
  private async moveTo({ id, retry }: EventFrame): Promise<void> {
    this.firstPauseMs = retry ?? this.firstPauseMs;
    this.lastEventId = id ?? this.lastEventId;
    if (this.lastEventId === undefined) return;
    if (!this.isLoaded) await this.options.load?.();
    this.isLoaded = true;
    if (this.isInterrupted) this.options.onResumed?.();
    this.isInterrupted = false;
    this.wasOpen = true;
    this.failures = 0;
  }

  private *eventIn({ event, data }: EventFrame): Generator<Received<E>, void, undefined> {
    if (this.lastEventId === undefined || event !== EVENT || data === undefined) return;
    this.hasEvent = true;
    const step = JSON.parse(data) as E;
    if (this.seen.add(step)) yield { ...step, lastEventId: this.lastEventId };
  }
}
