import type { FastifyRequest } from 'fastify';
import type { SecurityEvents } from '../app/security-events.js';
import type { TokenKeys } from '../identity/token-keys.js';
import { type Caller, setIdentity } from './caller.js';
import type { RateLimits } from './limits/rate-limits.js';

/**
 * Applies to stream tickets what applies to tokens: rate limits, withdrawn keys and security events. The application looks the ticket up and
 * then calls one of the methods. Can be injected.
 */
export class TicketGate {
  constructor(
    private readonly rates: RateLimits,
    private readonly events: SecurityEvents,
    private readonly keys: TokenKeys | undefined,
  ) {}

  /**
   * Makes the holder of a ticket the caller of the request, and counts the stream in the holder's budget. Returns false if the key of the
   * token for which the ticket was issued has been withdrawn; the ticket must be refused then.
   * @throws ProblemException 429 if the budget is used up
   */
  async admit(request: FastifyRequest, holder: Caller): Promise<boolean> {
    if (holder.keyId !== undefined && this.keys && !(await this.keys.publishes(holder.keyId))) return false;
    setIdentity(request, { caller: holder });
    await this.rates.countStream(request);
    return true;
  }

  /**
   * Counts and reports a refused ticket. The reason must not contain the ticket.
   * @throws ProblemException 429 if the address has sent too many refused credentials
   */
  async refuse(request: FastifyRequest, reason: string): Promise<void> {
    await this.rates.checkRefusedLogins(request);
    this.rates.countRefusedLogin(request);
    this.events.report(request, 'login-refused', reason);
  }
}
