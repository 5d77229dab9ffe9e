/**
 * Creates an entry of `upcasters`: `convert` gets data that `from` has validated. It is the `upcaster` of `@twinbox/messaging`, which the
 * contracts do not import.
 */
export function upcaster<From extends object>(from: new () => From, convert: (data: From) => object) {
  return { from, convert: (data: object) => convert(data as From) };
}
