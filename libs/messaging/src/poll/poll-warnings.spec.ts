import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { PollWarnings } from './poll-warnings.js';

describe('P9 warnings of the poll', () => {
  let lines: string[];
  let warnings: PollWarnings;

  beforeEach(() => {
    lines = [];
    for (const level of ['warn', 'log'] as const)
      jest.spyOn(Logger.prototype, level).mockImplementation((text: string) => void lines.push(`${level} ${text}`));
    warnings = new PollWarnings('orders');
  });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('are logged once, and stay in health until the problem is gone', () => {
    for (let poll = 1; poll <= 3; poll++) warnings.update(false, 0);
    expect(warnings.texts).toEqual([expect.stringContaining('may not read the sequence of orders.outbox')]);

    warnings.update(true, 0);
    warnings.update(true, 0);

    expect(warnings.texts).toEqual([]);
    expect(lines).toEqual([expect.stringMatching(/^warn The role may not/), 'log The sequence is readable now']);
  });

  it.each([
    [6000, /clock is 6 s ahead of this host's/],
    [-7200, /clock is 7 s behind this host's/],
  ])('say how far the clocks differ: %i ms', (aheadMs, text) => {
    warnings.update(true, aheadMs);

    expect(warnings.texts).toEqual([expect.stringMatching(text)]);
  });

  it('tolerate a difference of 5 s', () => {
    warnings.update(true, 5000);

    expect(warnings.texts).toEqual([]);
  });
});
