import { connect, createServer } from 'node:net';
import { Trouble } from './trouble.js';

/** A port from the environment, or the default where it is unset or empty. Throws Trouble for anything but 1 to 65535. */
export function portFrom(env: NodeJS.ProcessEnv, variable: string, fallback: number): number {
  const text = env[variable]?.trim();
  if (!text) return fallback;
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new Trouble(
    `${variable} is "${text}", but a port is a whole number from 1 to 65535. Correct it or unset it (default ${fallback}).`,
  );
}

/** A port nobody listens on now. Somebody else may take it before its user does, so callers of port 0 try again. */
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

/** Below the ports that Linux and macOS give to connections of their own. */
const STEADY = { first: 20_000, last: 31_999 };

/**
 * So many ports that nobody listens on now, and that no connection and no listener on port 0 is given later. Processes with other ids
 * begin elsewhere.
 */
export async function steadyPorts(count: number): Promise<number[]> {
  const size = STEADY.last - STEADY.first + 1;
  const begin = (process.pid * 16) % size;
  const ports: number[] = [];
  for (let n = 0; n < size && ports.length < count; n++) {
    const port = STEADY.first + ((begin + n) % size);
    if (await isFree(port)) ports.push(port);
  }
  if (ports.length < count) throw new Error(`Fewer than ${count} ports are free`);
  return ports;
}

/** Whether something accepts connections there. */
export function answers(port: number, host = '127.0.0.1', timeoutMs = 2_000): Promise<boolean> {
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
  // Listening alone is no proof on macOS, where 127.0.0.1 may be bound beside somebody's wildcard socket.
  if (await answers(port)) return false;
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
