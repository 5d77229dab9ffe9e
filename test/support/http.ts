export interface Answer {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  // A test reads what it expects to be there.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

/** Creates a client of a service's REST API that sends JSON and returns the status and JSON. */
export function caller(url: string, headers: Record<string, string>) {
  const send = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(new URL(path, url), {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    const { status } = response;
    return { method, path, status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  return {
    get: (path: string) => send('GET', path),
    /** Sends `body` as JSON, a string unchanged, and no body if it is undefined. */
    post: (path: string, body?: unknown) => send('POST', path, body),
    send,
  };
}

export const customer = (url: string, userId = 'ada') => caller(url, { 'x-user-id': userId });
export const operator = (url: string, userId = 'ops') => caller(url, { 'x-user-id': userId, 'x-roles': 'operator' });

/** Expects an RFC 9457 problem whose instance is the id under which the request is logged. */
export function expectProblem(answer: Answer, status: number, code: string, members: object = {}): void {
  expect(answer).toMatchObject({
    status,
    body: {
      type: `urn:twinbox:problem:${code}`,
      title: expect.stringMatching(/\S/),
      status,
      detail: expect.stringMatching(/\S/),
      instance: `urn:request:${answer.headers.get('x-request-id')}`,
      ...members,
    },
  });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
}
