import { auditSearch, lettersSearch, operationsSearch } from './search.js';

describe('the filters in the address of a page', () => {
  it('are kept as they are', () => {
    const search = { box: 'inbox', cause: 'order # is …', letter: '17', diedAfter: '2026-12-01T08:00:00Z' };

    expect(lettersSearch(search)).toEqual(search);
  });

  it('are left out if they are not valid', () => {
    expect(lettersSearch({ box: 'elsewhere', cause: '', diedAfter: 'yesterday', key: 'k'.repeat(1001) })).toEqual({});
    expect(operationsSearch({ state: 'sleeping' })).toEqual({});
    expect(auditSearch({ outcome: 'maybe', actor: null })).toEqual({});
  });

  it('leave out what the page does not know', () => {
    expect(lettersSearch({ other: 'value' })).toEqual({});
  });
});
