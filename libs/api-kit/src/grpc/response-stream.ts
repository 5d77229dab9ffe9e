import type { ServerWritableStream } from '@grpc/grpc-js';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { Observable, Subject } from 'rxjs';

/**
 * The messages of a server stream. Its methods never throw. Once the client has gone or the stream has ended, the listeners are called and
 * further messages are dropped. A handler returns {@link ended}, which keeps the call open.
 */
export class ResponseStream<Message> {
  /** Completes, or fails, when the stream has ended. */
  readonly ended: Observable<never>;
  private readonly end = new Subject<never>();
  private readonly listeners = new Set<() => void>();
  private isOver = false;

  /** `begin` sends the metadata of the answer. */
  constructor(
    private readonly call: ServerWritableStream<unknown, Message>,
    private readonly begin: () => void,
  ) {
    this.ended = new Observable<never>((subscriber) => {
      // A stream that has ended meanwhile ends here too, with its error if it has one.
      if (!this.isOver) this.begin();
      return this.end.subscribe(subscriber);
    });
    call.once('cancelled', () => this.close());
    if (call.cancelled) this.close();
  }

  get closed(): boolean {
    return this.isOver;
  }

  /** Sends a message. Wait for {@link drained} between the parts of a long answer, because unsent messages are kept in memory. */
  send(message: Message): void {
    if (!this.isOver) this.call.write(message);
  }

  /** Waits until the client has read what was sent, or the stream has ended. */
  async drained(): Promise<void> {
    if (this.isOver || !this.call.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.call.off('drain', done);
        this.listeners.delete(done);
        resolve();
      };
      this.call.once('drain', done);
      this.onClose(done);
    });
  }

  /** Ends the stream with the status OK. */
  close(): void {
    if (this.finish()) this.end.complete();
  }

  /** Ends the stream with the status of a problem. */
  fail(problem: Error): void {
    if (this.finish()) this.end.error(problem);
  }

  /** Calls the listener once when the stream ends for any reason, or immediately if it has already ended. */
  onClose(listener: () => void): void {
    if (this.isOver) listener();
    else this.listeners.add(listener);
  }

  private finish(): boolean {
    if (this.isOver) return false;
    this.isOver = true;
    for (const listener of this.listeners) listener();
    this.listeners.clear();
    return true;
  }
}

const streams = new WeakMap<object, ResponseStream<unknown>>();

/** Records the stream of a call. */
export function setStreamOf(call: object, stream: ResponseStream<unknown>): void {
  streams.set(call, stream);
}

/** Injects the stream of the answer into a handler: `@Responses() stream: ResponseStream<WatchOrderResponse>`. */
export const Responses = createParamDecorator((_: unknown, context: ExecutionContext): ResponseStream<unknown> => {
  const stream = streams.get(context.getArgByIndex<object>(2));
  if (!stream) throw new Error('Only a method that returns a stream has one.');
  return stream;
});
