import { type ServiceName, SERVICES } from './connection.js';
import { UsageError } from './failures.js';

/** Where an item of a list is, as the command line prints and reads it: `payments/inbox/17`. */
export interface Reference {
  readonly service: ServiceName;
  /** What follows the service. */
  readonly rest: string;
}

/** Returns the service and the rest of a reference. With `--service`, the reference may begin with the rest. */
export function referenceOf(text: string, service: ServiceName | undefined, example: string): Reference {
  const [, first, after = ''] = /^(orders|payments)\/(.+)$/s.exec(text) ?? [];
  if (first !== undefined && service !== undefined && first !== service)
    throw new UsageError(`${text} does not belong to ${service}.`);
  if (first !== undefined) return { service: first as ServiceName, rest: after };
  if (service !== undefined && text !== '') return { service, rest: text };
  throw new UsageError(`${text} does not begin with a service. An example: ${example}`);
}

/** Returns the box and the id of a letter. */
export function letterOf(text: string, service: ServiceName | undefined) {
  const { service: owner, rest } = referenceOf(text, service, 'payments/inbox/17');
  const [, box, id = ''] = /^(inbox|outbox)\/(-?\d{1,18})$/.exec(rest) ?? [];
  if (box === undefined) throw new UsageError(`${text} is not a message. An example: payments/inbox/17`);
  return { service: owner, box: box as 'inbox' | 'outbox', id };
}

/** Returns the services that a command concerns: the one that was named, or both. */
export function servicesOf(service: ServiceName | undefined): readonly ServiceName[] {
  return service === undefined ? SERVICES : [service];
}
