import { jest } from '@jest/globals';
import { OpenTickets } from './open-tickets.js';
import { type FeedSource } from './ports.js';
import { type TicketStore } from './tickets.js';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

function aReplica() {
  const uses = new Map<string, number>();
  const asked: (readonly string[])[] = [];
  const announced: string[] = [];
  let hear: (hash: string, use: number) => void = () => undefined;
  const source = {
    onTicketUsed: (listener: typeof hear) => void (hear = listener),
    announceTicketUsed: (hash: string, use: number) => void announced.push(`${hash} ${use}`),
  };
  const usesOf = async (hashes: readonly string[]) => {
    asked.push(hashes);
    return uses;
  };
  const tickets = new OpenTickets({ usesOf } as unknown as TicketStore, source as unknown as FeedSource);
  return { tickets, uses, asked, announced, hear: (hash: string, use: number) => hear(hash, use) };
}

it('announces all uses of a ticket but the first, which ends no other stream', () => {
  const { tickets, announced } = aReplica();

  tickets.begin('a', 1, jest.fn());
  tickets.begin('a', 2, jest.fn());

  expect(announced).toEqual(['a 2']);
});

it('ends a stream when a later use is announced, and not for an earlier one or for another ticket', () => {
  const { tickets, hear } = aReplica();
  const end = jest.fn();
  tickets.begin('a', 2, end);

  hear('a', 2);
  hear('a', 1);
  hear('b', 3);
  expect(end).not.toHaveBeenCalled();
  hear('a', 3);
  hear('a', 4);

  expect(end).toHaveBeenCalledTimes(1);
});

it('ends the earlier of two streams, in whichever order they begin', () => {
  const { tickets } = aReplica();
  const [earlier, later] = [jest.fn(), jest.fn()];

  tickets.begin('a', 3, later);
  tickets.begin('a', 2, earlier);

  expect(earlier).toHaveBeenCalledTimes(1);
  expect(later).not.toHaveBeenCalled();
});

it('P7 compares the uses of open streams only, and stops when there are none', async () => {
  const { tickets, uses, asked } = aReplica();
  const end = jest.fn();
  const leave = tickets.begin('a', 1, end);
  const leaveOther = tickets.begin('b', 1, jest.fn());
  leaveOther();

  uses.set('a', 1);
  await jest.advanceTimersByTimeAsync(3000);
  expect(end).not.toHaveBeenCalled();
  uses.set('a', 2);
  await jest.advanceTimersByTimeAsync(3000);
  leave();
  const before = asked.length;
  await jest.advanceTimersByTimeAsync(60_000);

  expect(end).toHaveBeenCalledTimes(1);
  expect(asked.every((hashes) => hashes.join() === 'a')).toBe(true);
  expect(asked).toHaveLength(before);
  expect(jest.getTimerCount()).toBe(0);
});
