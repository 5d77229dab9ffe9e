import { EventEmitter } from 'node:events';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { ResponseStream } from './response-stream.js';

/** The part of a call that a stream uses. */
class Call extends EventEmitter {
  readonly written: unknown[] = [];
  cancelled = false;
  writableNeedDrain = false;
  begun = 0;

  write(message: unknown): void {
    this.written.push(message);
  }
}

function aStream() {
  const call = new Call();
  const stream = new ResponseStream<string>(
    call as unknown as ServerWritableStream<unknown, string>,
    () => void call.begun++,
  );
  return { call, stream };
}

/** How the stream ends, as the framework sees it. */
const endOf = ({ ended }: ResponseStream<string>): Promise<unknown> =>
  new Promise((resolve) => ended.subscribe({ error: resolve, complete: () => resolve('complete') }));

describe('a stream of responses', () => {
  it('ends with its problem, even if it failed before anything listened', async () => {
    const { call, stream } = aStream();
    const problem = new Error('stopping');

    stream.fail(problem);

    expect(await endOf(stream)).toBe(problem);
    expect(call.begun).toBe(0);
  });

  it('ends once, with the first reason, and calls each listener', async () => {
    const { stream } = aStream();
    let calls = 0;
    stream.onClose(() => calls++);
    const end = endOf(stream);

    stream.close();
    stream.fail(new Error('too late'));
    stream.onClose(() => calls++);

    expect(await end).toBe('complete');
    expect(calls).toBe(2);
  });

  it('drops messages after its end, and its caller ends it', async () => {
    const { call, stream } = aStream();
    const end = endOf(stream);
    stream.send('a');

    call.emit('cancelled');
    stream.send('b');

    expect(await end).toBe('complete');
    expect(call.written).toEqual(['a']);
    expect(call.begun).toBe(1);
  });

  it('waits until its reader has caught up, or has gone', async () => {
    const { call, stream } = aStream();
    call.writableNeedDrain = true;

    const caughtUp = stream.drained();
    call.emit('drain');
    await caughtUp;
    const gone = stream.drained();
    call.emit('cancelled');
    await gone;

    expect(stream.closed).toBe(true);
  });
});
