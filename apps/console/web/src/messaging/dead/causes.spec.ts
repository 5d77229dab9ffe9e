import { type CauseGroup } from '@twinbox/client/admin';
import { mergedCauses, partsOf } from './causes.js';

const aGroup = (values: Partial<CauseGroup>): CauseGroup => ({
  cause: 'TypeError',
  count: 1,
  oldest: '2026-12-01T08:00:00Z',
  newest: '2026-12-01T08:00:00Z',
  types: ['OrderPlaced'],
  ...values,
});

describe('the causes of both boxes', () => {
  it('are one list, the most frequent first, and the latest of equally frequent ones', () => {
    const inbox = [aGroup({ cause: 'rare' }), aGroup({ cause: 'frequent', count: 9 })];
    const outbox = [aGroup({ cause: 'late', newest: '2026-12-01T09:00:00Z' })];

    const causes = mergedCauses([
      { box: 'inbox', items: inbox },
      { box: 'outbox', items: outbox },
    ]);

    expect(causes.map(({ box, cause }) => `${box} ${cause}`)).toEqual(['inbox frequent', 'outbox late', 'inbox rare']);
  });

  it('stay apart if both boxes have the same one', () => {
    const same = [aGroup({})];

    expect(
      mergedCauses([
        { box: 'inbox', items: same },
        { box: 'outbox', items: same },
      ]),
    ).toHaveLength(2);
  });
});

describe('the text of a cause', () => {
  it('has holes where its errors differ', () => {
    expect(partsOf('The total of order # is …')).toEqual([
      { text: 'The total of order ', at: 0, isHole: false },
      { text: '#', at: 19, isHole: true },
      { text: ' is ', at: 20, isHole: false },
      { text: '…', at: 24, isHole: true },
    ]);
  });
});
