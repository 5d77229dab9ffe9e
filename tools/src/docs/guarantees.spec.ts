import { titlesIn } from './guarantees.js';

/** Returns the titles and guarantees of the tests in a source. */
function found(source: string): [string, string][] {
  return titlesIn('a.spec.ts', source).map(({ title, guarantees }) => [title, guarantees.join(' ')]);
}

describe('the tests of a guarantee', () => {
  it('are those whose titles, or whose blocks, begin with its number', () => {
    const source = `
      it('P1 commits', () => {});
      test('P2 P3 arrives in order', async () => {});
      it('has no number, P1 or other', () => {});
      describe('P4 a handler', () => {
        describe('that fails', () => {
          it('P5 is retried', () => {});
        });
      });`;

    expect(found(source)).toEqual([
      ['P1 commits', 'P1'],
      ['P2 P3 arrives in order', 'P2 P3'],
      ['P4 a handler › that fails › P5 is retried', 'P4 P5'],
    ]);
  });

  it('include tables of cases, however the title is quoted', () => {
    const source = [
      "it.each([1, 2])('P1 with %i', (n) => {});",
      "describe.each`a`('P2 with $a', () => { it.failing(`P3 for ${name}`, () => {}); });",
    ].join('\n');

    expect(found(source)).toEqual([
      ['P1 with %i', 'P1'],
      ['P2 with $a › P3 for ${name}', 'P2 P3'],
    ]);
  });

  it('are not what only looks like a test', () => {
    const source = `
      // it('P1 in a comment', () => {});
      visit('P1 another function', () => {});
      it.todo('P1 without a body');
      const text = "it('P1 in a text', () => {})";`;

    expect(found(source)).toEqual([]);
  });

  it('name each guarantee once', () => {
    expect(found("describe('P1 a', () => { it('P1 b', () => {}); });")).toEqual([['P1 a › P1 b', 'P1']]);
  });
});
