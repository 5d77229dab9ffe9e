import { auditSearch, jobsSearch, lettersSearch, operationsSearch } from './search.js';

describe('the filters in the address of a page', () => {
  it('are kept as they are', () => {
    const search = { box: 'inbox', cause: 'order # is …', letter: '17', diedAfter: '2026-12-01T08:00:00Z' };

    expect(lettersSearch(search)).toEqual(search);
  });

  it('are texts, although an id looks like a number', () => {
    expect(lettersSearch({ letter: 17 })).toEqual({ letter: '17' });
    expect(jobsSearch({ queue: 5 })).toEqual({ queue: '5' });
  });

  it('are left out if they are not valid', () => {
    expect(
      lettersSearch({ box: 'elsewhere', cause: '', type: ['a'], diedAfter: 'yesterday', key: 'k'.repeat(1001) }),
    ).toEqual({});
    expect(operationsSearch({ state: 'sleeping' })).toEqual({});
    expect(auditSearch({ outcome: 'maybe', actor: null })).toEqual({});
  });

  it('leave out what the page does not know', () => {
    expect(lettersSearch({ other: 'value' })).toEqual({});
  });
});
