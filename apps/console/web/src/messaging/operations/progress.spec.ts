import { type Operation } from '@twinbox/client/admin';
import { progressOf } from './progress.js';

const START = Date.parse('2026-12-01T08:00:00Z');

const anOperation = (values: Partial<Operation> = {}): Operation => ({
  id: '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d',
  kind: 'retry-letters',
  filter: {},
  asOf: '2026-12-01T08:00:00Z',
  options: {},
  state: 'running',
  total: 200,
  done: 51,
  failed: 0,
  totalIsExact: true,
  waitingFor: 0,
  problem: null,
  cancelledBy: null,
  actor: 'ann',
  reason: null,
  createdAt: '2026-12-01T08:00:00Z',
  updatedAt: '2026-12-01T08:00:05Z',
  finishedAt: null,
  ...values,
});

describe('the progress of an operation', () => {
  it('says how much is done and for how long it has run', () => {
    expect(progressOf(anOperation(), START + 7000)).toEqual({
      percent: 25,
      title: 'Retry dead letters',
      text: '51 of 200, for 7 s.',
      outcome: 'running',
    });
  });

  it('names what the canary waits for', () => {
    expect(progressOf(anOperation({ waitingFor: 1 }), START).text).toContain('the canary waits for 1 item');
  });

  it('says why a canary has stopped it', () => {
    const stopped = anOperation({
      state: 'stopped',
      failed: 1,
      problem: '17 failed again: too cold',
      finishedAt: '2026-12-01T08:02:00Z',
    });

    expect(progressOf(stopped, START)).toMatchObject({
      outcome: 'bad',
      text: '51 of 200, 1 failed, in 2 min. 17 failed again: too cold.',
    });
  });

  it('is complete at the end, even if somebody else has handled some of it', () => {
    const done = anOperation({ state: 'done', done: 150, finishedAt: '2026-12-01T08:02:00Z' });

    expect(progressOf(done, START)).toMatchObject({ percent: 100, outcome: 'good' });
  });

  it('is zero, not undefined, for an operation on nothing', () => {
    expect(progressOf(anOperation({ total: 0, done: 0 }), START).percent).toBe(0);
  });
});
