import { Logger } from '@nestjs/common';
import { type OutboxRow } from '../message/message.js';
import { Routes } from './routes.js';
import { type TopicContract } from '../message/topic.js';

const contract: TopicContract = {
  name: 'known.events',
  aggregateType: 'known',
  partitions: 1,
  retentionMs: 1,
  events: {},
};
const silent = { log: () => undefined, warn: () => undefined, error: () => undefined } as unknown as Logger;

const routes = (waiting?: ConstructorParameters<typeof Routes>[2]) =>
  new Routes(new Map([['known', contract]]), silent, waiting);

const row = (aggregatetype: string, position: number) => ({ aggregatetype, position: String(position) }) as OutboxRow;

describe('routes', () => {
  it('P2 remember where the messages of a blocked type start, even if an earlier one is committed late', () => {
    const blocked = routes();
    blocked.block('strange', 7);

    const left = blocked.skipBlocked([row('strange', 7), row('known', 8), row('strange', 9), row('strange', 5)]);

    expect(left).toEqual([row('known', 8)]);
    expect(blocked.waiting).toEqual(new Map([['strange', { from: 5, messages: 3 }]]));
  });

  it('retry a failing topic after a back-off, and never retry a type without a topic', () => {
    const blocked = routes();
    blocked.block('strange', 1);
    blocked.block('known', 2, new Error('no such topic'));

    expect(blocked.due()).toEqual([]);
    expect(blocked.due(performance.now() + 60_000)).toEqual([{ aggregateType: 'known', from: 2 }]);
  });

  it('P3 start a term with the blocked types, and retry at once those that this leader declares', () => {
    const blocked = routes(new Map([['known', { from: 3, messages: 2 }]]));

    expect(blocked.blocks('known')).toBe(true);
    expect(blocked.due()).toEqual([{ aggregateType: 'known', from: 3 }]);
  });

  it('P9 report a type without a topic at once, and a failing topic after a while', () => {
    const blocked = routes();
    blocked.block('known', 2, new Error('no such topic'));
    expect(blocked.report()).toMatchObject({
      healthy: true,
      blocked: [{ aggregateType: 'known', topic: 'known.events' }],
    });
    expect(blocked.report(performance.now() + 6000)).toMatchObject({ healthy: false });

    blocked.unblock('known');
    expect(blocked.report()).toEqual({ healthy: true });
    blocked.block('strange', 1);
    expect(blocked.report()).toMatchObject({
      healthy: false,
      problem: expect.stringContaining('no topic is declared'),
    });
  });
});
