import { allDone } from './all-done.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

it('returns all results in order', async () => {
  const late = turn().then(() => 'late');

  expect(await allDone([late, Promise.resolve(2)])).toEqual(['late', 2]);
});

it('throws the first error once all promises have settled', async () => {
  let isDone = false;
  const work = [
    turn().then(() => Promise.reject(new Error('it is over'))),
    Promise.reject(new Error('the reason')),
    turn()
      .then(turn)
      .then(() => (isDone = true)),
  ];

  await expect(allDone(work)).rejects.toThrow('the reason');
  expect(isDone).toBe(true);
});

it('throws the error that ended the transaction rather than its consequence, whichever is reported first', async () => {
  const over = Object.assign(new Error('current transaction is aborted'), { code: '25P02' });
  const reason = Object.assign(new Error('canceling statement'), { code: '57014' });

  await expect(allDone([Promise.reject(over), turn().then(() => Promise.reject(reason))])).rejects.toBe(reason);
  await expect(allDone([Promise.reject(over), Promise.resolve(1)])).rejects.toBe(over);
});
