export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // A test reads what it expects to be there.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

/** A caller of a service's REST API: JSON in, status and JSON out. */
export function caller(url: string, headers: Record<string, string>) {
  const send = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(new URL(path, url), {
      method,
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  return {
    get: (path: string) => send('GET', path),
    /** `body` as JSON; a string goes as it is; none sends no body. */
    post: (path: string, body?: unknown) => send('POST', path, body),
    send,
  };
}

export const customer = (url: string, userId = 'ada') => caller(url, { 'x-user-id': userId });
export const operator = (url: string, userId = 'ops') => caller(url, { 'x-user-id': userId, 'x-roles': 'operator' });
