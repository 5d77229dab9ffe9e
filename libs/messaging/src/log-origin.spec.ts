import { judge, type Known, type LogState } from './log-origin.js';

const LOG: LogState = { place: 'server/base/1/30', log: '10/20/30/20', last: 1000, rowsBeyond: false };
const RESTARTED: LogState = { ...LOG, place: 'server/base/1/31', log: '10/20/31/20', last: 60 };
const EMPTIED: LogState = { ...LOG, place: 'server/base/1/31', log: '10/20/31/21', last: 60 };
const known = (position: number, log = LOG): Known => ({ position, reach: position, log });
const row = (position: number, origin: string | null = LOG.log) => ({ position, reach: position, origin });

describe('a term goes on', () => {
  it('while the row is as it was recorded, in the same log', () => {
    expect(judge(known(20), 25, row(20), LOG)).toEqual({ goesOn: true });
  });

  it('without the grant to read the sequence', () => {
    expect(judge(known(20), 25, row(20), { ...LOG, last: undefined })).toEqual({ goesOn: true });
  });

  it('after a plain truncate and after vacuum full, which leave the sequence alone', () => {
    expect(judge(known(20), 25, row(20), { ...LOG, log: '10/20/30/99' })).toEqual({ goesOn: true });
  });
});

describe('a new term begins with the recorded position, and nothing went back', () => {
  it('when a server was restarted, or a standby promoted, without losing anything', () => {
    expect(judge(known(20), 25, row(20), { ...LOG, place: 'other/base/1/30' })).toEqual({ goesOn: false });
  });

  it('for a relay that takes over', () => {
    expect(judge(undefined, undefined, row(20), LOG)).toEqual({ goesOn: false });
  });

  it('when the previous version recorded it', () => {
    expect(judge(undefined, undefined, row(20, null), LOG)).toEqual({ goesOn: false });
  });

  it('when a dump was restored, whose tables are others', () => {
    expect(judge(undefined, undefined, row(20), { ...LOG, log: '11/21/31/21' })).toEqual({ goesOn: false });
  });
});

describe('P2 what the outbox keeps is published from the start', () => {
  const fromStart = (keepsOld: boolean) => ({ goesOn: false, wentBack: { ofLog: true, fromStart: true, keepsOld } });

  it.each([
    ['the outbox was truncated with its sequence, and more was written than before', row(20), EMPTIED, false],
    ['the outbox was made anew', row(20), { ...LOG, log: '10/22/32/22' }, false],
    ['the sequence was restarted, and has passed the position', row(20), RESTARTED, true],
    ['the recorded position lies beyond the sequence', row(1001), LOG, false],
    ['it does, and the previous version recorded it', row(1001, null), LOG, false],
    ['it does, in a dump that was restored', row(1001), { ...LOG, log: '11/21/31/21' }, false],
    ['the sequence was set back below it, and the table keeps rows', row(1001), { ...LOG, rowsBeyond: true }, true],
  ])('when %s', (_, recorded, now, keepsOld) => {
    expect(judge(undefined, undefined, recorded, now)).toMatchObject(fromStart(keepsOld));
    expect(judge(known(recorded.position), recorded.position, recorded, now)).toMatchObject(fromStart(keepsOld));
  });
});

describe('P2 publishing goes on from the recorded position', () => {
  it('when the database is an older copy', () => {
    const copy = { ...LOG, place: 'server/base/2/30' };

    expect(judge(known(900), 950, row(800), copy)).toMatchObject({
      goesOn: false,
      wentBack: { ofLog: false, fromStart: false, reason: expect.stringContaining('older copy') },
    });
  });

  it('when somebody set it back', () => {
    expect(judge(known(900), 950, row(0), LOG)).toMatchObject({ wentBack: { ofLog: false, fromStart: false } });
  });

  it('when the sequence was set back to between it and what is published', () => {
    expect(judge(known(990), 1010, row(990), LOG)).toMatchObject({ wentBack: { ofLog: true, fromStart: false } });
  });

  it('when the sequence was set back below unpublished messages; once, until it has passed them', () => {
    const setBack = { ...LOG, rowsBeyond: true };

    expect(judge(known(20), 20, row(20), setBack)).toMatchObject({ wentBack: { fromStart: false, keepsOld: true } });
    expect(judge(known(20, setBack), 20, row(20), setBack)).toEqual({ goesOn: true });
  });
});

it('positions went back when what is published beyond the messages of a waiting type is beyond the sequence', () => {
  const { goesOn, wentBack } = judge(known(20), undefined, { position: 20, reach: 1001, origin: LOG.log }, LOG);

  expect(goesOn).toBe(false);
  expect(wentBack).toMatchObject({ ofLog: true, fromStart: true });
});

describe('while an aggregate type waits, so that the recorded position stands still', () => {
  const copy = { ...LOG, place: 'server/base/2/30' };
  const waits = (reach: number) => ({ position: 20, reach });

  it('positions went back in an older copy, which others were published less far in', () => {
    const { wentBack } = judge({ ...waits(900), log: LOG }, 950, { ...waits(800), origin: LOG.log }, copy);

    expect(wentBack).toMatchObject({ ofLog: false, fromStart: false, reason: expect.stringContaining('800') });
  });

  it('nothing went back when the server was only restarted', () => {
    expect(judge({ ...waits(900), log: LOG }, 950, { ...waits(900), origin: LOG.log }, copy)).toEqual({
      goesOn: false,
    });
  });
});

it('positions went back in a copy that is younger than the last recording, but lacks what was published since', () => {
  const copy = { ...LOG, place: 'server/base/2/30', last: 940 };

  expect(judge(known(900), 950, row(900), copy)).toMatchObject({ wentBack: { ofLog: true, fromStart: false } });
});

it('rows beyond the sequence are reported once by a process, on whatever connection', () => {
  const setBack = { ...LOG, rowsBeyond: true };

  expect(judge(undefined, undefined, row(20), setBack, true)).toEqual({ goesOn: false });
});
