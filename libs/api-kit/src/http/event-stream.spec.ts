import { EventEmitter } from 'node:events';
import { jest } from '@jest/globals';
import type { FastifyReply } from 'fastify';
import { EventStream } from './event-stream.js';

class Response extends EventEmitter {
  written = '';
  writableLength = 0;
  destroyed = false;

  write(text: string): boolean {
    this.written += text;
    return true;
  }

  end(): void {
    this.emit('close');
  }
}

afterEach(() => jest.useRealTimers());

it('a stream sends a heartbeat every 15 s until it is closed', () => {
  jest.useFakeTimers();
  const response = new Response();
  const stream = new EventStream(response as unknown as FastifyReply['raw']);

  jest.advanceTimersByTime(14_999);
  const early = response.written;
  jest.advanceTimersByTime(15_001);
  stream.close();
  jest.advanceTimersByTime(60_000);

  expect(early).toBe('');
  expect(response.written).toBe(': \n\n: \n\n');
  expect(jest.getTimerCount()).toBe(0);
});
