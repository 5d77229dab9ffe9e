/** Search parameters as the services name theirs: a repeated name is a list, and every value is a text. */
export type SearchParams = Readonly<Record<string, unknown>>;

/** Reads the search parameters of an address. */
export function parseSearch(search: string): Record<string, string | string[]> {
  const params = new URLSearchParams(search);
  return Object.fromEntries(
    [...new Set(params.keys())].map((name) => {
      const [first = '', ...others] = params.getAll(name);
      return [name, others.length === 0 ? first : [first, ...others]];
    }),
  );
}

/** Writes search parameters into an address, without those that have no value. */
export function stringifySearch(search: SearchParams): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(search))
    for (const each of [value].flat()) if (isText(each)) params.append(name, String(each));
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

function isText(value: unknown): value is string | number | boolean {
  return value !== '' && ['string', 'number', 'boolean'].includes(typeof value);
}

/** Reads one text, at most as long as the services accept. */
export function textIn(search: SearchParams, name: string): string | undefined {
  const [value] = [search[name]].flat();
  return typeof value === 'string' && value !== '' && value.length <= 1000 ? value : undefined;
}

/** Reads those values of a list that are valid. */
export function choicesIn<T extends string>(search: SearchParams, name: string, valid: readonly T[]): T[] | undefined {
  const given = new Set([search[name]].flat());
  const chosen = valid.filter((each) => given.has(each));
  return chosen.length > 0 ? chosen : undefined;
}

/** Reads one of the valid values. */
export function choiceIn<T extends string>(search: SearchParams, name: string, valid: readonly T[]): T | undefined {
  return choicesIn(search, name, valid)?.[0];
}

/** Reads a whole number that is not negative. */
export function countIn(search: SearchParams, name: string): number | undefined {
  const text = String(search[name]);
  const value = Number(text);
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(value) ? value : undefined;
}

/** Reads a point in time. */
export function timeIn(search: SearchParams, name: string): string | undefined {
  const text = textIn(search, name);
  return text !== undefined && !Number.isNaN(Date.parse(text)) ? text : undefined;
}

/** Removes what has no value, which addresses would otherwise name and the services refuse. */
export function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
