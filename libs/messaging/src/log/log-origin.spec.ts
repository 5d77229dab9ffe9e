import { judge, type Known, type LogState } from './log-origin.js';

const LOG: LogState = { location: 'server/base/1/30', origin: '10/20/30/20', lastPosition: 1000, rowsBeyond: false };
const RESTARTED: LogState = { ...LOG, location: 'server/base/1/31', origin: '10/20/31/20', lastPosition: 60 };
const EMPTIED: LogState = { ...LOG, location: 'server/base/1/31', origin: '10/20/31/21', lastPosition: 60 };
const known = (position: number, log = LOG): Known => ({ position, reach: position, log });
const row = (position: number, origin: string | null = LOG.origin) => ({ position, reach: position, origin });

describe('a term continues', () => {
  it('while the row is as it was recorded, in the same log', () => {
    expect(judge(known(20), 25, row(20), LOG)).toEqual({ continues: true });
  });

  it('without the grant to read the sequence', () => {
    expect(judge(known(20), 25, row(20), { ...LOG, lastPosition: undefined })).toEqual({ continues: true });
  });

  it('after a plain truncate and after vacuum full, which leave the sequence alone', () => {
    expect(judge(known(20), 25, row(20), { ...LOG, origin: '10/20/30/99' })).toEqual({ continues: true });
  });
});

describe('a new term starts at the recorded position, and nothing went back', () => {
  it('when a server was restarted, or a standby promoted, without losing anything', () => {
    expect(judge(known(20), 25, row(20), { ...LOG, location: 'other/base/1/30' })).toEqual({ continues: false });
  });

  it('for a relay that takes over', () => {
    expect(judge(undefined, undefined, row(20), LOG)).toEqual({ continues: false });
  });

  it('when the previous version recorded the position', () => {
    expect(judge(undefined, undefined, row(20, null), LOG)).toEqual({ continues: false });
  });

  it('when a dump with its own tables was restored', () => {
    expect(judge(undefined, undefined, row(20), { ...LOG, origin: '11/21/31/21' })).toEqual({ continues: false });
  });
});

describe('P2 everything in the outbox is published from the start', () => {
  const fromStart = (keepsOld: boolean) => ({ continues: false, wentBack: { ofLog: true, fromStart: true, keepsOld } });

  it.each([
    ['the outbox was truncated with its sequence, and more was written than before', row(20), EMPTIED, false],
    ['the outbox was recreated', row(20), { ...LOG, origin: '10/22/32/22' }, false],
    ['the sequence was restarted, and has passed the position', row(20), RESTARTED, true],
    ['the recorded position lies beyond the sequence', row(1001), LOG, false],
    ['the previous version recorded a position beyond the sequence', row(1001, null), LOG, false],
    [
      'the recorded position lies beyond the sequence in a restored dump',
      row(1001),
      { ...LOG, origin: '11/21/31/21' },
      false,
    ],
    [
      'the sequence was set back below the position, and the table still has rows',
      row(1001),
      { ...LOG, rowsBeyond: true },
      true,
    ],
  ])('when %s', (_, recorded, now, keepsOld) => {
    expect(judge(undefined, undefined, recorded, now)).toMatchObject(fromStart(keepsOld));
    expect(judge(known(recorded.position), recorded.position, recorded, now)).toMatchObject(fromStart(keepsOld));
  });
});

describe('P2 publishing continues from the recorded position', () => {
  it('when the database is an older copy', () => {
    const copy = { ...LOG, location: 'server/base/2/30' };

    expect(judge(known(900), 950, row(800), copy)).toMatchObject({
      continues: false,
      wentBack: { ofLog: false, fromStart: false, reason: expect.stringContaining('older copy') },
    });
  });

  it('when an operator set it back', () => {
    expect(judge(known(900), 950, row(0), LOG)).toMatchObject({ wentBack: { ofLog: false, fromStart: false } });
  });

  it('when the sequence was set back to a position after it but before what is published', () => {
    expect(judge(known(990), 1010, row(990), LOG)).toMatchObject({ wentBack: { ofLog: true, fromStart: false } });
  });

  it('when the sequence was set back below unpublished messages, but only once until it has passed them', () => {
    const setBack = { ...LOG, rowsBeyond: true };

    expect(judge(known(20), 20, row(20), setBack)).toMatchObject({ wentBack: { fromStart: false, keepsOld: true } });
    expect(judge(known(20, setBack), 20, row(20), setBack)).toEqual({ continues: true });
  });
});

it('positions went back when messages published beyond those of a blocked type are beyond the sequence', () => {
  const { continues, wentBack } = judge(known(20), undefined, { position: 20, reach: 1001, origin: LOG.origin }, LOG);

  expect(continues).toBe(false);
  expect(wentBack).toMatchObject({ ofLog: true, fromStart: true });
});

describe('while an aggregate type is blocked, so that the recorded position does not advance', () => {
  const copy = { ...LOG, location: 'server/base/2/30' };
  const waits = (reach: number) => ({ position: 20, reach });

  it('positions went back in an older copy, in which other types were not published as far', () => {
    const { wentBack } = judge({ ...waits(900), log: LOG }, 950, { ...waits(800), origin: LOG.origin }, copy);

    expect(wentBack).toMatchObject({ ofLog: false, fromStart: false, reason: expect.stringContaining('800') });
  });

  it('nothing went back when the server was only restarted', () => {
    expect(judge({ ...waits(900), log: LOG }, 950, { ...waits(900), origin: LOG.origin }, copy)).toEqual({
      continues: false,
    });
  });
});

it('positions went back in a copy that was made after the last recording but lacks messages published since', () => {
  const copy = { ...LOG, location: 'server/base/2/30', lastPosition: 940 };

  expect(judge(known(900), 950, row(900), copy)).toMatchObject({ wentBack: { ofLog: true, fromStart: false } });
});

it('a process reports rows beyond the sequence once, across all of its connections', () => {
  const setBack = { ...LOG, rowsBeyond: true };

  expect(judge(undefined, undefined, row(20), setBack, true)).toEqual({ continues: false });
});
