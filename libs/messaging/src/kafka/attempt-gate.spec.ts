import { AttemptGate } from './attempt-gate.js';

let now: number;
let gate: AttemptGate;

beforeEach(() => {
  now = 0;
  gate = new AttemptGate(() => now);
});

const refusal = new Error('refused');

/** Makes an attempt that ends at once. */
const attempt = async (address: string) => (await gate.enter(address))();

it('lets everyone connect at first', async () => {
  await expect(attempt('a:1')).resolves.toBeUndefined();
});

it('refuses further attempts at the same broker for a second', async () => {
  gate.refused(refusal, 'a:1');

  now = 999;
  await expect(attempt('a:1')).rejects.toThrow(refusal);
  await attempt('b:1');
  now = 1000;
  await attempt('a:1');
});

it('refuses attempts at every broker after one has refused the credentials', async () => {
  gate.refused(refusal);

  await expect(attempt('a:1')).rejects.toThrow(refusal);
  await expect(attempt('b:1')).rejects.toThrow(refusal);
});

it('forgets refusals after a success', async () => {
  gate.refused(refusal);
  gate.refused(refusal, 'a:1');

  gate.accepted('b:1');

  await attempt('a:1');
});

it('makes clients wait for the first attempt, whose refusal they share', async () => {
  const leave = await gate.enter('a:1');
  const others = [gate.enter('a:1'), gate.enter('a:1')];

  gate.refused(refusal);
  leave();

  await expect(Promise.allSettled(others)).resolves.toMatchObject([{ reason: refusal }, { reason: refusal }]);
});

it('lets clients connect at the same time after a success', async () => {
  gate.accepted('a:1');
  await gate.enter('a:1');

  await expect(gate.enter('a:1')).resolves.toBeInstanceOf(Function);
});

it('suspects a broker that fails twice in a row', () => {
  expect(gate.recurs('a:1', now)).toBe(false);
  expect(gate.recurs('b:1', now)).toBe(false);
  expect(gate.recurs('a:1', now + 1)).toBe(true);
});

it('does not suspect a broker that closes several connections at once, as when it stops', () => {
  const openedAt = now;
  now += 100;

  for (let n = 0; n < 3; n++) expect(gate.recurs('a:1', openedAt)).toBe(false);

  expect(gate.recurs('a:1', now + 1)).toBe(true);
});

it('does not suspect a broker that fails now and then', () => {
  gate.recurs('a:1', now);

  now = 10_000;
  expect(gate.recurs('a:1', now)).toBe(false);
  gate.accepted('a:1');
  expect(gate.recurs('a:1', now + 1)).toBe(false);
});
