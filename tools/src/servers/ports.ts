import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { OperationalError } from '../errors.js';

/** Returns a port from the environment, or the default where it is unset or empty. Throws OperationalError unless it is 1 to 65535. */
export function portFrom(env: NodeJS.ProcessEnv, variable: string, fallback: number): number {
  const text = env[variable]?.trim();
  if (!text) return fallback;
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new OperationalError(
    `${variable} is "${text}", but a port must be an integer from 1 to 65535. Correct it or unset it (default ${fallback}).`,
  );
}

/** Returns a port that is free now. Another process may take it before the caller does, so the caller has to retry then. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

/** Below the ephemeral ports that Linux and macOS assign to outgoing connections. */
const STEADY = { first: 20_000, last: 31_999 };
const SIZE = STEADY.last - STEADY.first + 1;
/** Ports that were returned before, and may not be in use yet. */
const returned = new Set<number>();

/**
 * Returns ports that are free now and that the system will not assign to an outgoing connection or to a listener on port 0. So a server
 * that stops finds its port free when it starts again. The search begins at a random port, so that concurrent processes rarely find the same.
 */
export async function steadyPorts(count: number, begin = randomInt(SIZE)): Promise<number[]> {
  const ports: number[] = [];
  for (let n = 0; n < SIZE && ports.length < count; n++) {
    const port = STEADY.first + ((begin + n) % SIZE);
    if (returned.has(port)) continue;
    returned.add(port);
    if (await isFree(port)) ports.push(port);
  }
  if (ports.length < count) throw new Error(`Fewer than ${count} ports are free`);
  return ports;
}

/** Returns one of the {@link steadyPorts}. */
export async function steadyPort(): Promise<number> {
  const [port] = (await steadyPorts(1)) as [number];
  return port;
}

/** Whether something accepts connections on the port. */
export function acceptsConnections(port: number, host = '127.0.0.1', timeoutMs = 2_000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => done(false));
    socket.once('connect', () => done(true)).once('error', () => done(false));
  });
}

/** Whether the port can be listened on. */
export async function isFree(port: number): Promise<boolean> {
  // Being able to listen proves nothing on macOS, where 127.0.0.1 can be bound while another process has the wildcard address.
  if (await acceptsConnections(port)) return false;
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
