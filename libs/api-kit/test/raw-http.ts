import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The parsed problem document, or the text of any other body. */
  // A test reads the members that it expects.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

/** A connection on which a test sends raw bytes, which a client would refuse to send or would send only completely. */
export class RawConnection {
  /** Resolves when the connection is closed by either side. */
  readonly closed: Promise<void>;
  private received = Buffer.alloc(0);

  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => (this.received = Buffer.concat([this.received, chunk])));
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** Opens a connection. With `keepsOpen` it never closes its own side. */
  static async open(url: string, { keepsOpen = false } = {}): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: keepsOpen });
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  send(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** Everything that has been received so far. */
  get text(): string {
    return this.received.toString();
  }

  close(): void {
    this.socket.destroy();
  }

  /** The responses that have been received completely. */
  get answers(): RawAnswer[] {
    const answers: RawAnswer[] = [];
    for (let rest = this.received; ;) {
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) return answers;
      const [start = '', ...lines] = rest.subarray(0, end).toString().split('\r\n');
      const headers = new Headers(lines.map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]));
      const length = Number(headers.get('content-length') ?? 0);
      if (rest.length < end + 4 + length) return answers;
      const text = rest.subarray(end + 4, end + 4 + length).toString();
      const isProblem = headers.get('content-type') === 'application/problem+json' && text !== '';
      const status = Number(start.split(' ')[1]);
      // 100 Continue is not the final response.
      if (status >= 200) answers.push({ status, headers, body: isProblem ? (JSON.parse(text) as unknown) : text });
      rest = rest.subarray(end + 4 + length);
    }
  }
}

/** Sends a request and reads until the server closes the connection. */
export async function exchange(url: string, request: string | Buffer): Promise<RawAnswer[]> {
  const connection = await RawConnection.open(url);
  connection.send(request);
  await connection.closed;
  return connection.answers;
}

/** Expects the response to be a problem document whose instance is the request's id. */
export function expectProblem(answer: RawAnswer | undefined, status: number, code: string): void {
  expect(answer).toMatchObject({
    status,
    body: {
      type: `urn:twinbox:problem:${code}`,
      status,
      title: expect.stringMatching(/\S/),
      detail: expect.stringMatching(/\S/),
      instance: `urn:request:${answer?.headers.get('x-request-id')}`,
    },
  });
  expect(answer?.headers.get('content-type')).toBe('application/problem+json');
}
