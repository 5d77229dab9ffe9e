import { AttemptGate } from './attempt-gate.js';

let now: number;
let gate: AttemptGate;

beforeEach(() => {
  now = 0;
  gate = new AttemptGate(() => now);
});

const refusal = new Error('refused');

it('lets everyone connect at first', () => {
  expect(() => gate.check('a:1')).not.toThrow();
});

it('refuses further attempts at the same broker for a second', () => {
  gate.refused(refusal, 'a:1');

  now = 999;
  expect(() => gate.check('a:1')).toThrow(refusal);
  expect(() => gate.check('b:1')).not.toThrow();
  now = 1000;
  expect(() => gate.check('a:1')).not.toThrow();
});

it('refuses attempts at every broker after one has refused the credentials', () => {
  gate.refused(refusal);

  expect(() => gate.check('a:1')).toThrow(refusal);
  expect(() => gate.check('b:1')).toThrow(refusal);
});

it('forgets refusals after a success', () => {
  gate.refused(refusal);
  gate.refused(refusal, 'a:1');

  gate.accepted('b:1');

  expect(() => gate.check('a:1')).not.toThrow();
});

it('suspects a broker that fails twice in a row', () => {
  expect(gate.recurs('a:1')).toBe(false);
  expect(gate.recurs('b:1')).toBe(false);
  expect(gate.recurs('a:1')).toBe(true);
});

it('does not suspect a broker that fails now and then', () => {
  gate.recurs('a:1');

  now = 10_000;
  expect(gate.recurs('a:1')).toBe(false);
  gate.accepted('a:1');
  expect(gate.recurs('a:1')).toBe(false);
});
