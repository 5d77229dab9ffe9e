import { columnsOf, operationFilter, operationOf } from './bulk.js';

describe('the filter of a bulk operation', () => {
  it('is that of the page', () => {
    expect(operationFilter({ box: 'inbox', cause: 'order # is …', key: undefined })).toEqual({
      box: 'inbox',
      cause: 'order # is …',
    });
  });

  it('says that it means everything if the page has no filter', () => {
    expect(operationFilter({ box: 'outbox' })).toEqual({ box: 'outbox', all: true });
    expect(operationFilter({})).toEqual({ all: true });
  });
});

describe('a bulk operation', () => {
  const asOf = '2026-12-01T08:00:00.000000Z';

  it('applies to what the dry run has counted', () => {
    expect(
      operationOf('letters', 'retry', { box: 'inbox' }, { asOf, canary: true, ratePerSecond: 50, reason: 'Fixed.' }),
    ).toEqual({
      kind: 'retry-letters',
      filter: { box: 'inbox', all: true },
      options: { asOf, canary: true, ratePerSecond: 50 },
      reason: 'Fixed.',
    });
  });

  it('has no canary if it discards, because nothing can fail again', () => {
    expect(
      operationOf(
        'jobs',
        'discard',
        { queue: 'mail' },
        { asOf, canary: true, ratePerSecond: undefined, reason: 'Test.' },
      ).options,
    ).toEqual({ asOf });
  });
});

describe('the first items of a dry run', () => {
  it('have the columns of all of them', () => {
    expect(columnsOf([{ id: '1' }, { id: '2', type: 'OrderPlaced' }])).toEqual(['id', 'type']);
    expect(columnsOf([])).toEqual([]);
  });
});
