import { jest } from '@jest/globals';
import { CommitNotices } from './commit-notices.js';

describe('notices of commits', () => {
  let sent: number;
  let notices: CommitNotices;
  /** Ends the notification in flight. */
  let answer: () => void;

  beforeEach(() => {
    jest.useFakeTimers();
    sent = 0;
    notices = new CommitNotices(() => {
      sent++;
      return new Promise((resolve) => (answer = resolve));
    });
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  it('are sent at once, and cover what is committed until then', async () => {
    notices.committed();
    notices.committed();

    await jest.advanceTimersByTimeAsync(0);

    expect(sent).toBe(1);
  });

  it('wait for the one in flight, and the next one covers all commits since', async () => {
    notices.committed();
    await jest.advanceTimersByTimeAsync(0);
    notices.committed();
    notices.committed();
    await jest.advanceTimersByTimeAsync(1000);
    expect(sent).toBe(1);

    answer();
    await jest.advanceTimersByTimeAsync(0);

    expect(sent).toBe(2);
  });

  it('are at least 2 ms apart', async () => {
    notices.committed();
    await jest.advanceTimersByTimeAsync(0);
    answer();
    await jest.advanceTimersByTimeAsync(0);

    notices.committed();
    await jest.advanceTimersByTimeAsync(1);
    expect(sent).toBe(1);
    await jest.advanceTimersByTimeAsync(1);

    expect(sent).toBe(2);
  });
});
