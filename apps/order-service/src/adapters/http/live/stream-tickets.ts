import { hash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { type Caller, logContext, problemOf, ProblemException, type Role, ticketOf } from '@twinbox/api-kit';
import { type FastifyRequest } from 'fastify';
import { TicketStore, type TicketUse } from '../../../application/live/tickets.js';
import { liveProblems } from './live-problems.js';
import { type StreamQuery, type TicketDto } from './streams.dto.js';

/** Who opens a stream, where it resumes, and with which ticket, if any. */
export interface Admission {
  readonly caller: Caller;
  readonly lastEventId: string | undefined;
  readonly ticket: TicketUse | undefined;
}

/** What identifies the request for a stream. */
export interface StreamRequest {
  readonly request: FastifyRequest;
  readonly caller: Caller | undefined;
  readonly lastEventId: string | undefined;
  readonly query: StreamQuery;
}

@Injectable()
export class StreamTickets {
  constructor(private readonly store: TicketStore) {}

  async issue({ userId, roles, expiresAt }: Caller, orderId: string | null): Promise<TicketDto> {
    const ticket = randomBytes(32).toString('base64url');
    const times = await this.store.add({ hash: hashOf(ticket), userId, roles: [...roles], orderId, expiresAt });
    return {
      ticket,
      url: `/orders/${orderId === null ? '' : `${orderId}/`}events?ticket=${ticket}`,
      useBy: times.useBy.toISOString(),
      expiresAt: times.expiresAt.toISOString(),
    };
  }

  /** Finds out who opens the stream of an order, or of all orders. A ticket counts as used only with {@link use}. */
  async admit({ request, caller, lastEventId, query }: StreamRequest, orderId: string | null): Promise<Admission> {
    const since = lastEventId ?? (query.lastEventId === '' ? undefined : query.lastEventId);
    const ticket = ticketOf(request);
    if (ticket === undefined) {
      if (!caller) throw new Error('A request without a ticket has no caller.');
      return { caller, lastEventId: since, ticket };
    }
    const use = { hash: hashOf(ticket), resumes: lastEventId !== undefined };
    const holder = await this.store.holderOf(use, orderId);
    if (!holder) throw ticketExpired();
    const { userId, roles, expiresAt } = holder;
    logContext({ userId });
    return { caller: { userId, roles: new Set(roles as Role[]), expiresAt }, lastEventId: since, ticket: use };
  }

  /** Returns how often the ticket has been used, including now. @throws ProblemException if it is no longer valid */
  async use(ticket: TicketUse): Promise<number> {
    const uses = await this.store.use(ticket);
    if (uses === undefined) throw ticketExpired();
    return uses;
  }
}

function hashOf(ticket: string): Buffer {
  return hash('sha256', ticket, 'buffer');
}

function ticketExpired(): ProblemException {
  const { problem } = problemOf({ code: 'ticket-expired' }, liveProblems);
  return new ProblemException({ ...problem, event: { name: 'expired' } });
}
