import { Gather } from './gather.js';

/** Writes items in batches that leave out `bad` items and fail for `worse` ones. */
function aGather() {
  const batches: string[][] = [];
  const alone: string[] = [];
  const gate = Promise.withResolvers<void>();
  const gather = new Gather<string, string>({
    writeAll: async (items) => {
      batches.push([...items]);
      if (batches.length === 1) await gate.promise;
      if (items.some((item) => item.startsWith('worse'))) throw new Error('all or nothing');
      return items.map((item) => (item.startsWith('bad') ? undefined : `${item}!`));
    },
    writeOne: (item) => {
      alone.push(item);
      return item.startsWith('worse') ? Promise.reject(new Error(item)) : Promise.resolve(`${item}?`);
    },
  });
  return { gather, batches, alone, open: gate.resolve };
}

it('writes the items of one turn together, and so the items that arrive during a write', async () => {
  const { gather, batches, open } = aGather();

  const first = [gather.write('a'), gather.write('b')];
  await new Promise(setImmediate);
  const second = ['c', 'd', 'e'].map((item) => gather.write(item));
  open();

  expect(await Promise.all([...first, ...second])).toEqual(['a!', 'b!', 'c!', 'd!', 'e!']);
  expect(batches).toEqual([
    ['a', 'b'],
    ['c', 'd', 'e'],
  ]);
});

it('writes the items that a batch leaves out one by one', async () => {
  const { gather, alone, open } = aGather();
  open();

  const outcomes = await Promise.all(['a', 'bad 1', 'b', 'bad 2'].map((item) => gather.write(item)));

  expect(outcomes).toEqual(['a!', 'bad 1?', 'b!', 'bad 2?']);
  expect(alone).toEqual(['bad 1', 'bad 2']);
});

it('does not let a failing item affect the others, and continues', async () => {
  const { gather, open } = aGather();
  open();

  const outcomes = await Promise.allSettled(['a', 'worse', 'b'].map((item) => gather.write(item)));
  const later = await gather.write('c');

  expect(outcomes).toEqual([
    { status: 'fulfilled', value: 'a?' },
    { status: 'rejected', reason: new Error('worse') },
    { status: 'fulfilled', value: 'b?' },
  ]);
  expect(later).toBe('c!');
});

it('writes at most a hundred items at a time', async () => {
  const { gather, batches, open } = aGather();
  open();

  await Promise.all(Array.from({ length: 250 }, (_, n) => gather.write(`${n}`)));

  expect(batches.map(({ length }) => length)).toEqual([100, 100, 50]);
});

it('rejects an item that the batch left out and that cannot be written alone', async () => {
  const gather = new Gather<string, string>({ writeAll: () => Promise.resolve(['a!']) });

  const outcomes = await Promise.allSettled(['a', 'b'].map((item) => gather.write(item)));

  expect(outcomes).toMatchObject([{ value: 'a!' }, { reason: { message: expect.stringContaining('not written') } }]);
});

it('throws the error of the batch to every caller if items cannot be written alone', async () => {
  const gather = new Gather<string, string>({ writeAll: () => Promise.reject(new Error('away')) });

  const outcomes = await Promise.allSettled(['a', 'b'].map((item) => gather.write(item)));

  expect(outcomes).toEqual(['a', 'b'].map(() => ({ status: 'rejected', reason: new Error('away') })));
});
