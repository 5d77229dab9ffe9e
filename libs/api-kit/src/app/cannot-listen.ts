import { lookup } from 'node:dns/promises';

/** Thrown with what to do about an address that the service cannot listen on. */
export class CannotListen extends Error {}

/** Listens on an address, which is given by its variables. @throws CannotListen */
export async function listenAt<T>(
  hostVariable: Readonly<Record<string, string>>,
  portVariable: Readonly<Record<string, number>>,
  start: (port: number, address: string) => Promise<T>,
): Promise<T> {
  const [[hostName, host]] = Object.entries(hostVariable) as [[string, string]];
  const [[portName, port]] = Object.entries(portVariable) as [[string, number]];
  try {
    return await start(port, await addressOf(host));
  } catch (error) {
    const { syscall, code } = error as Partial<NodeJS.ErrnoException>;
    if (code === 'EADDRINUSE')
      throw new CannotListen(
        `port ${port} on ${host} is in use. Stop the process that is using it, or set ${portName} to another port (0 picks a free one).`,
      );
    if (code === 'EACCES')
      throw new CannotListen(`port ${port} requires elevated privileges. Set ${portName} to a port above 1023.`);
    if (code === 'EADDRNOTAVAIL' || syscall === 'getaddrinfo')
      throw new CannotListen(`${hostName}="${host}" is not an address of this machine.`);
    throw error;
  }
}

/** Resolves `localhost`, because Fastify would otherwise listen on its second address with another server, which has no limits. */
async function addressOf(host: string): Promise<string> {
  return host === 'localhost' ? (await lookup(host, { order: 'ipv4first' })).address : host;
}
