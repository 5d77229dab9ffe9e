/** Longer ones would not fit into a cookie. */
const MAX_LENGTH = 1500;

/** Places that do not show a view. */
const NOT_A_VIEW = /^\/(api|session|sign-in|sign-out|demo|csp-reports|health|metrics)(?=[/?#]|$)/;

/** Returns the path of a view of the console, `/` for anything else. In particular, it never leads to another site (CWE-601). */
export function safePath(next: unknown): string {
  if (typeof next !== 'string' || next.length > MAX_LENGTH || !/^\/[^/\\]/.test(next)) return '/';
  const base = 'http://console.invalid';
  const url = URL.parse(next, base);
  if (url?.origin !== base || url.pathname.startsWith('//') || NOT_A_VIEW.test(url.pathname)) return '/';
  return `${url.pathname}${url.search}${url.hash}`;
}
