import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { addressRewriter } from './advertised-address.js';

/**
 * What a proxy does with the data of one connection. Each function returns what to pass on, and may hold back a part of it until later.
 */
export interface Filter {
  readonly request?: (chunk: Buffer) => Buffer;
  readonly answer?: (chunk: Buffer) => Buffer;
}

export interface FaultProxyOptions {
  /**
   * For a server that tells its clients its own address, as Kafka does: replaces that address by the address of the proxy, because the
   * clients would bypass the proxy otherwise. The brokers of a cluster also tell each other's addresses, see {@link FaultProxy.openAll}.
   */
  readonly advertises?: boolean;
  /**
   * For a server with TLS: the proxy reads and changes what is sent, so it decrypts it, and encrypts it again. It proves its own name, which
   * clients verify, and verifies that of the server.
   */
  readonly tls?: ProxyTls;
  /** Makes the filter of a connection, which it can reset. */
  readonly filter?: (reset: () => void) => Filter;
}

/** The certificate of a proxy with its key, and the authorities of its server, each in PEM format. */
export interface ProxyTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** A TCP proxy in front of a server on loopback that can simulate network failures. It starts open. */
export class FaultProxy {
  private readonly connections = new Set<Connection>();
  private readonly waiting = new Set<Socket>();
  private mode: 'open' | 'cut' | 'silent' | 'swallowing' = 'open';
  private delayMs = 0;
  /** The number of connections accepted so far. */
  accepted = 0;
  /** The number of chunks of answers dropped so far. */
  lost = 0;

  private constructor(
    private readonly server: Server,
    private targetPort: number,
    private readonly options: FaultProxyOptions,
    /** The ports that the server advertises, each with the port that replaces it. */
    private readonly advertised: Map<number, number>,
  ) {
    if (options.advertises) advertised.set(targetPort, this.port);
    server.on('connection', (client) => this.accept(client));
  }

  /** Listens on a free port. */
  static async open(targetPort: number, options: FaultProxyOptions = {}): Promise<FaultProxy> {
    return FaultProxy.listen(targetPort, options, new Map());
  }

  /**
   * Opens one proxy in front of each broker of a cluster, in the order of `targetPorts`. Whichever broker tells a client of the others,
   * the client reaches each of them only through its proxy.
   */
  static async openAll(
    targetPorts: readonly number[],
    options: Pick<FaultProxyOptions, 'tls'> = {},
  ): Promise<FaultProxy[]> {
    const advertised = new Map<number, number>();
    // All of them are open before a client can connect to any, so `advertised` is complete then.
    return Promise.all(
      targetPorts.map((port) => FaultProxy.listen(port, { ...options, advertises: true }, advertised)),
    );
  }

  private static async listen(
    targetPort: number,
    options: FaultProxyOptions,
    advertised: Map<number, number>,
  ): Promise<FaultProxy> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, targetPort, options, advertised);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Resets all connections, and connects clients to this port from now on. */
  pointAt(targetPort: number): void {
    this.targetPort = targetPort;
    this.resetAll();
  }

  /** Resets all connections, and each new one immediately. */
  cut(): void {
    this.mode = 'cut';
    this.resetAll();
  }

  /** Passes nothing on and resets nothing, as if a cable was pulled: clients keep waiting for answers. */
  silence(): void {
    this.mode = 'silent';
    for (const connection of this.connections) connection.pause();
  }

  /** Drops the answers; requests still reach the server and take effect. */
  swallow(): void {
    this.mode = 'swallowing';
  }

  /** Delays all data by `delayMs` in each direction. */
  slow(delayMs: number): void {
    this.delayMs = delayMs;
  }

  /** Ends every failure. Data that was held back is delivered late; connections that have lost an answer are reset. */
  heal(): void {
    const { mode } = this;
    this.mode = 'open';
    this.delayMs = 0;
    if (mode === 'silent') for (const connection of this.connections) connection.resume();
    for (const connection of this.connections) if (connection.hasLost) connection.reset();
    for (const client of this.waiting) this.connect(client);
    this.waiting.clear();
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.resetAll();
    await closed;
  }

  private resetAll(): void {
    for (const connection of this.connections) connection.reset();
    for (const client of this.waiting) client.resetAndDestroy();
    this.waiting.clear();
  }

  private accept(client: Socket): void {
    this.accepted++;
    client.on('error', () => client.destroy());
    if (this.mode === 'cut') client.resetAndDestroy();
    else if (this.mode !== 'silent') this.connect(client);
    else {
      client.pause();
      this.waiting.add(client);
    }
  }

  private connect(client: Socket): void {
    if (client.destroyed) return;
    const server = connect({ port: this.targetPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const [near, far] = encrypted(client, server, this.options.tls);
    const connection = new Connection(near, far, {
      filter: this.options.filter,
      // Made for each connection, because it may hold the beginning of an answer.
      readdress: this.options.advertises ? addressRewriter(this.advertised) : unchanged,
      delayMs: () => this.delayMs,
      loses: () => {
        if (this.mode !== 'swallowing') return false;
        this.lost++;
        return true;
      },
    });
    this.connections.add(connection);
    connection.onClosed(() => this.connections.delete(connection));
  }
}

function encrypted(client: Socket, server: Socket, tls: ProxyTls | undefined): readonly [Socket, Socket] {
  if (!tls) return [client, server];
  const { cert, key, ca } = tls;
  const near = new TLSSocket(client, { isServer: true, cert, key });
  return [near, connectTls({ socket: server, host: '127.0.0.1', ca })];
}

const reset = (socket: Socket): unknown =>
  // A TLS socket cannot send a TCP reset.
  socket instanceof TLSSocket ? socket.destroy() : socket.resetAndDestroy();

const unchanged = (chunk: Buffer): Buffer => chunk;

class Connection {
  hasLost = false;

  constructor(
    private readonly client: Socket,
    private readonly server: Socket,
    proxy: {
      readonly filter: FaultProxyOptions['filter'];
      readonly readdress: (answer: Buffer) => Buffer;
      readonly delayMs: () => number;
      readonly loses: () => boolean;
    },
  ) {
    const { request = unchanged, answer = unchanged }: Filter = proxy.filter?.(() => this.reset()) ?? {};
    const requests = new Flow(server, proxy.delayMs);
    client.on('data', (chunk: Buffer) => requests.pass(request(chunk)));
    client.on('end', () => requests.pass('end'));
    const answers = new Flow(client, proxy.delayMs);
    server.on('data', (chunk: Buffer) => {
      if (proxy.loses()) this.hasLost = true;
      else answers.pass(proxy.readdress(answer(chunk)));
    });
    server.on('end', () => answers.pass('end'));
    server.on('error', () => this.reset());
    client.on('error', () => this.reset());
    server.on('close', () => answers.pass('end'));
    client.on('close', () => requests.pass('end'));
    client.resume();
  }

  pause(): void {
    this.client.pause();
    this.server.pause();
  }

  resume(): void {
    this.client.resume();
    this.server.resume();
  }

  reset(): void {
    reset(this.client);
    reset(this.server);
  }

  onClosed(listener: () => void): void {
    this.client.once('close', listener);
  }
}

/** One direction of a connection. Passes chunks on in order, each after its delay, without backpressure because the volume is small. */
class Flow {
  private readonly queue: { readonly dueAt: number; readonly part: Buffer | 'end' }[] = [];

  constructor(
    private readonly to: Socket,
    private readonly delayMs: () => number,
  ) {}

  pass(part: Buffer | 'end'): void {
    this.queue.push({ dueAt: performance.now() + this.delayMs(), part });
    if (this.queue.length === 1) this.deliver();
  }

  private deliver(): void {
    for (let head = this.queue[0]; head; head = this.queue[0]) {
      const waitMs = head.dueAt - performance.now();
      if (waitMs > 0) {
        setTimeout(() => this.deliver(), Math.ceil(waitMs));
        return;
      }
      this.queue.shift();
      if (head.part === 'end') this.to.end();
      else if (this.to.writable) this.to.write(head.part);
    }
  }
}
