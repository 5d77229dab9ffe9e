import { request } from 'undici';

/** What a server has answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Parsed if it is JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

export interface Options {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A tab of a browser: it keeps the cookies of each origin, and sends the headers by which a page shows its origin. */
export class Tab {
  readonly cookies = new Map<string, Map<string, string>>();

  constructor(readonly origin: string) {}

  /** Returns a tab of another browser at the same address. */
  copy(): Tab {
    return new Tab(this.origin);
  }

  /** Sends a request as a page of the console does. */
  async send(method: string, path: string, { body, headers = {}, signal }: Options = {}): Promise<Answer> {
    const url = new URL(path, this.origin);
    const isForm = body instanceof URLSearchParams;
    const answer = await request(url, {
      method: method as 'GET',
      headers: {
        cookie: this.cookieHeader(url.origin),
        'sec-fetch-site': 'same-origin',
        ...(method !== 'GET' && { origin: url.origin }),
        ...(body !== undefined && {
          'content-type': isForm ? 'application/x-www-form-urlencoded' : 'application/json',
        }),
        ...headers,
      },
      body: body === undefined ? null : isForm ? body.toString() : JSON.stringify(body),
      ...(signal && { signal }),
    });
    const text = await answer.body.text();
    this.keep(url.origin, answer.headers['set-cookie']);
    const isJson = /json/.test(String(answer.headers['content-type']));
    return { status: answer.statusCode, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.send('GET', path, { headers });
  }

  post(path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.send('POST', path, { body, headers });
  }

  /** Opens an event stream. Its text grows until it ends. */
  async stream(path: string): Promise<{ status: number; text: () => string; ended: Promise<void> }> {
    const answer = await request(new URL(path, this.origin), { headers: { cookie: this.cookieHeader(this.origin) } });
    let text = '';
    const read = async () => {
      for await (const chunk of answer.body) text += String(chunk);
    };
    return { status: answer.statusCode, text: () => text, ended: read() };
  }

  /** The session cookie; undefined without one. */
  get session(): string | undefined {
    return this.cookies.get(this.origin)?.get('twinbox-console-session');
  }

  set session(id: string) {
    this.cookies.set(this.origin, new Map([['twinbox-console-session', id]]));
  }

  private cookieHeader(origin: string): string {
    return [...(this.cookies.get(origin) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  private keep(origin: string, set: string | string[] = []): void {
    const cookies = this.cookies.get(origin) ?? new Map<string, string>();
    this.cookies.set(origin, cookies);
    for (const line of [set].flat()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '' || /Max-Age=0|Expires=Thu, 01 Jan 1970/i.test(line)) cookies.delete(name);
      else cookies.set(name, value);
    }
  }
}

/** Follows redirects until an answer of another kind. Returns it with its address. */
export async function follow(tab: Tab, address: string): Promise<Answer & { readonly url: string }> {
  for (let url = address; ;) {
    const answer = await tab.get(url);
    const { location } = answer.headers;
    if (answer.status < 300 || answer.status > 399 || typeof location !== 'string') return { ...answer, url };
    url = new URL(location, new URL(url, tab.origin)).href;
  }
}

/** Signs in at the local provider. Returns the address at which the browser arrives. */
export async function signIn(tab: Tab, user: string, next = '/'): Promise<string> {
  const page = await follow(tab, `/sign-in/start?next=${encodeURIComponent(next)}`);
  // The provider still knows the user.
  if (!page.url.includes('/interaction/')) return page.url;
  const form = new URLSearchParams({ user, password: user });
  const { headers } = await tab.send('POST', page.url, { body: form });
  return (await follow(tab, new URL(String(headers.location), page.url).href)).url;
}
