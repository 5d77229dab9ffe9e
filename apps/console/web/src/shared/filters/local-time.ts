/** Writes a time as a field for local dates and times has it. */
export function toLocal(at: string | undefined): string {
  if (at === undefined) return '';
  const date = new Date(at);
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

/** Reads the value of such a field, in the viewer's zone. */
export function fromLocal(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
