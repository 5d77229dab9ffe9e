import { isLoopback } from '../http/loopback.js';

/** Whether nobody on the network can change what is loaded from the URL, because of TLS or because it does not leave this machine. */
export function isTamperProof({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}
