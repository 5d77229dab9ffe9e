const MAX_LENGTH = 500;
const SECRET_NAME = /token|ticket|secret|passw|key|signature|credential|jwt|auth/i;
/** A JSON Web Token, whatever its parameter is called, or if it has none. Its first part is base64url of `{"`. */
const TOKEN = /^eyJ/;

/**
 * Returns a shortened URL for the log, without the values of query parameters that look like secrets. No route takes a secret there except
 * a stream ticket, but clients send access tokens in queries by mistake (RFC 6750, section 2.3).
 */
export function loggableUrl(url: string): string {
  const at = url.indexOf('?');
  if (at < 0) return url.slice(0, MAX_LENGTH);
  const query = url
    .slice(at + 1)
    .split('&')
    .map(withoutSecret);
  return `${url.slice(0, at)}?${query.join('&')}`.slice(0, MAX_LENGTH);
}

function withoutSecret(pair: string): string {
  const [[name, value] = ['', '']] = [...new URLSearchParams(pair)];
  if (TOKEN.test(name)) return '[redacted]';
  return SECRET_NAME.test(name) || TOKEN.test(value) ? `${pair.split('=', 1)[0]?.slice(0, 50)}=[redacted]` : pair;
}
