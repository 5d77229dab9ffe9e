import { EMPTY, replayOf } from './replay-filter.js';

describe('the form of a replay', () => {
  it('becomes the filter of the operation, without empty fields', () => {
    expect(replayOf({ ...EMPTY, type: ' OrderPlaced ', fromPosition: '17', topic: 'copies', force: true })).toEqual({
      kind: 'replay',
      filter: { type: 'OrderPlaced', fromPosition: '17' },
      options: { topic: 'copies', force: true },
    });
  });

  it('has times by the clock of the viewer', () => {
    const local = '2026-12-01T08:30';

    expect(replayOf({ ...EMPTY, createdAfter: local })).toMatchObject({
      filter: { createdAfter: new Date(local).toISOString() },
    });
  });

  it('means everything only if somebody has chosen that', () => {
    expect(replayOf(EMPTY)).toBe('Fill in a filter, or choose everything.');
    expect(replayOf({ ...EMPTY, all: true })).toMatchObject({ filter: { all: true } });
    expect(replayOf({ ...EMPTY, all: true, type: 'OrderPlaced' })).toBe('Choose either everything or filters.');
  });
});
