import { contractProblems, indented, syntaxProblem } from './json-places.js';

const VIOLATION = 'The message would still be unreadable: the data violates its contract:';

describe('the text of an editor', () => {
  it('has no problem if it is JSON', () => {
    expect(syntaxProblem('{"total": 900}')).toBeUndefined();
  });

  it('has its problem where it stops being JSON', () => {
    const problem = syntaxProblem('{\n  "total": 900,\n  currency: "EUR"\n}');

    expect(problem?.place).toMatchObject({ line: 3, column: 3, from: 20 });
  });

  it('has its problem at the end if something is missing there', () => {
    const text = '{"total": 900';

    expect(syntaxProblem(text)?.place).toMatchObject({ line: 1, to: text.length });
  });
});

describe('the reason why an edit is refused', () => {
  it('is shown at the fields that violate the contract', () => {
    const text = '{"total": "9", "items": [{"quantity": 1}, {"quantity": -1}]}';
    const reason = `${VIOLATION} total must be an integer number; items.1.quantity must be a positive number`;

    expect(contractProblems(reason, text)).toMatchObject([
      { detail: 'total must be an integer number.', pointer: '#/total', place: { from: 10, to: 13 } },
      { pointer: '#/items/1/quantity', place: { from: 55, to: 57 } },
    ]);
  });

  it('has no place for a field that is missing', () => {
    expect(contractProblems(`${VIOLATION} currency must be a currency`, '{}')).toEqual([
      { detail: 'currency must be a currency.' },
    ]);
  });

  it('is shown as it is if no field is to blame', () => {
    expect(contractProblems('The id of the message must stay 17', '{}')).toEqual([
      { detail: 'The id of the message must stay 17.' },
    ]);
  });
});

describe('indented JSON', () => {
  it('has a line for each value', () => {
    expect(indented('{"a":1,"b":[" x "]}')).toBe('{\n  "a": 1,\n  "b": [\n    " x "\n  ]\n}');
  });

  it.each(['not JSON', '{"n":12345678901234567890}', '{"a":1,"a":2}', '{"n":1.0}'])(
    'leaves %s as it is, because it would lose something',
    (text) => {
      expect(indented(text)).toBe(text);
    },
  );
});
