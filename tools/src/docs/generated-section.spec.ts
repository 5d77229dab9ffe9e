import { withGenerated } from './generated-section.js';

const document = [
  '# Title',
  '<!-- generated: one -->',
  'old',
  '<!-- end: one -->',
  'between',
  '<!-- generated: two -->',
  '<!-- end: two -->',
  'end',
].join('\n');

describe('a generated section', () => {
  it('is replaced, and everything around it stays', () => {
    expect(withGenerated(document, 'one', 'new')).toBe(
      [
        '# Title',
        '<!-- generated: one -->',
        '',
        'new',
        '<!-- end: one -->',
        'between',
        '<!-- generated: two -->',
        '<!-- end: two -->',
        'end',
      ].join('\n'),
    );
  });

  it('is the same when it is generated again', () => {
    const once = withGenerated(document, 'two', 'new');

    expect(withGenerated(once, 'two', 'new')).toBe(once);
  });

  it.each([
    ['has no such section', document, 'three', 'must occur once, not 0 times'],
    ['has the section twice', `${document}\n${document}`, 'one', 'must occur once, not 2 times'],
    ['does not end the section', document.replace('<!-- end: two -->', ''), 'two', 'must occur once, not 0 times'],
    ['ends the section before it begins', '<!-- end: a --> <!-- generated: a -->', 'a', 'must occur once, not 0 times'],
  ])('is refused by a document that %s', (_, text, name, message) => {
    expect(() => withGenerated(text, name, 'new')).toThrow(message);
  });
});
