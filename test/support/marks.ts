import { randomBytes } from 'node:crypto';

/** Secrets and personal values that must appear nowhere but where they belong. */
export class Marks {
  private readonly marks: { readonly name: string; readonly value: string }[] = [];

  /** Returns a new value that is recognized anywhere. The name says what it is used for. */
  new(name: string): string {
    return this.add(name, `mark${randomBytes(12).toString('hex')}`);
  }

  /** Recognizes a value that was made elsewhere, such as a token. */
  add(name: string, value: string): string {
    this.marks.push({ name, value });
    return value;
  }

  /** Recognizes a JSON Web Token by its signature, which must not be shown without the rest either. */
  addToken(name: string, token: string): string {
    const [, , signature = ''] = token.split('.');
    this.add(name, signature);
    return token;
  }

  /** Returns the names of the values that the text contains, each with what stands before it. */
  foundIn(text: string): string[] {
    return this.marks.flatMap(({ name, value }) => {
      const found = spellingsOf(value).find((spelling) => text.includes(spelling));
      if (found === undefined) return [];
      const at = text.indexOf(found);
      return [`${name}: …${text.slice(Math.max(0, at - 200), at + 20)}…`];
    });
  }
}

/** Long values may be cut off, as in the excerpts of parsers. */
function spellingsOf(value: string): string[] {
  const start = value.slice(0, value.startsWith('mark') ? 12 : 40);
  return [start, encodeURIComponent(start), Buffer.from(value).toString('base64').slice(0, 15)];
}
