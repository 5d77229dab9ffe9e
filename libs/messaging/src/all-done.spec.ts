import { allDone } from './all-done.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

it('gives the results of all, in their order', async () => {
  const late = turn().then(() => 'late');

  expect(await allDone([late, Promise.resolve(2)])).toEqual(['late', 2]);
});

it('throws what was thrown first, once all are done', async () => {
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
