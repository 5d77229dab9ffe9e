import { hash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import {
  type Caller,
  logContext,
  problemOf,
  ProblemException,
  type Role,
  TicketGate,
  ticketOf,
} from '@twinbox/api-kit';
import { type FastifyRequest } from 'fastify';
import { type TicketRefusal, TicketStore, type TicketUse } from '../../../application/live/tickets.js';
import { liveProblems } from './live-problems.js';
import { type StreamQuery, type TicketDto } from './streams.dto.js';

/** Who opens a stream, where it resumes, and with which ticket, if any. */
export interface Admission {
  readonly caller: Caller;
  readonly lastEventId: string | undefined;
  readonly ticket: TicketUse | undefined;
}

const REASONS: Readonly<Record<TicketRefusal | 'withdrawn', string>> = {
  unknown: 'The stream ticket is unknown, or was deleted after it had expired.',
  'other-stream': 'The stream ticket is for another stream.',
  expired: 'The stream ticket has expired.',
  used: 'The stream ticket was used before.',
  withdrawn: 'The key of the token for which the stream ticket was issued has been withdrawn.',
};

/** What identifies the request for a stream. */
export interface StreamRequest {
  readonly request: FastifyRequest;
  readonly caller: Caller | undefined;
  readonly lastEventId: string | undefined;
  readonly query: StreamQuery;
}

@Injectable()
export class StreamTickets {
  constructor(
    private readonly store: TicketStore,
    private readonly gate: TicketGate,
  ) {}

  async issue({ userId, roles, expiresAt, keyId }: Caller, orderId: string | null): Promise<TicketDto> {
    const ticket = randomBytes(32).toString('base64url');
    const times = await this.store.add({ hash: hashOf(ticket), userId, roles: [...roles], orderId, expiresAt, keyId });
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
    if (typeof holder === 'string') return this.refuse(request, holder);
    const { userId, roles, expiresAt, keyId } = holder;
    const user = { userId, roles: new Set(roles as Role[]), expiresAt, ...(keyId !== null && { keyId }) };
    logContext({ userId });
    if (!(await this.gate.admit(request, user))) return this.refuse(request, 'withdrawn');
    return { caller: user, lastEventId: since, ticket: use };
  }

  /** Returns how often the ticket has been used, including now. @throws ProblemException if it is no longer valid */
  async use(ticket: TicketUse, request: FastifyRequest): Promise<number> {
    return (await this.store.use(ticket)) ?? this.refuse(request, 'used');
  }

  private async refuse(request: FastifyRequest, refusal: keyof typeof REASONS): Promise<never> {
    await this.gate.refuse(request, REASONS[refusal]);
    const { problem } = problemOf({ code: 'ticket-expired' }, liveProblems);
    throw new ProblemException({ ...problem, event: { name: 'expired' } });
  }
}

function hashOf(ticket: string): Buffer {
  return hash('sha256', ticket, 'buffer');
}
