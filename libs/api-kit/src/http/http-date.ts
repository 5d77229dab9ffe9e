const TIME = String.raw`(\d\d:\d\d:\d\d)`;
const MONTH = '([A-Z][a-z]{2})';
const IMF_FIXDATE = new RegExp(String.raw`^[A-Z][a-z]{2}, (\d\d) ${MONTH} (\d{4}) ${TIME} GMT$`);
const RFC850 = new RegExp(String.raw`^[A-Z][a-z]{5,8}, (\d\d)-${MONTH}-(\d\d) ${TIME} GMT$`);
const ASCTIME = new RegExp(String.raw`^[A-Z][a-z]{2} ${MONTH} ([ \d]\d) ${TIME} (\d{4})$`);

/** Parses an HTTP-date in any of the three formats of RFC 9110, section 5.6.7. Returns undefined for anything else. */
export function parseHttpDate(value: string): Date | undefined {
  const parts = partsOf(value);
  if (!parts) return undefined;
  const date = new Date(`${parts} GMT`);
  // Date turns a day or a time that does not exist into another one, or into an invalid date.
  return date.toUTCString().slice(5) === `${parts} GMT` ? date : undefined;
}

/** Returns the date in the form `06 Nov 1994 08:49:37`. */
function partsOf(value: string): string | undefined {
  const [, day, month, year, time] = IMF_FIXDATE.exec(value) ?? [];
  if (day !== undefined) return `${day} ${month} ${year} ${time}`;
  const [, day850, month850, year850, time850] = RFC850.exec(value) ?? [];
  if (day850 !== undefined) return `${day850} ${month850} ${fullYear(Number(year850))} ${time850}`;
  const [, monthAsc, dayAsc = '', timeAsc, yearAsc] = ASCTIME.exec(value) ?? [];
  return monthAsc === undefined ? undefined : `${dayAsc.replace(' ', '0')} ${monthAsc} ${yearAsc} ${timeAsc}`;
}

/** Returns the year for two digits. If it seems to be more than 50 years in the future, it is the last such year in the past. */
function fullYear(digits: number): number {
  const now = new Date().getUTCFullYear();
  const year = now - (now % 100) + digits;
  return year > now + 50 ? year - 100 : year;
}
