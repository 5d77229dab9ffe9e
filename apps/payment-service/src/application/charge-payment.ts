import { Inject, Injectable } from '@nestjs/common';
import { MESSAGING_DATA_SOURCE } from '@twinbox/api-kit';
import { Clock } from '@twinbox/kernel';
import { Gather } from '@twinbox/messaging';
import { DataSource } from 'typeorm';
import { type PaymentRequest, type PaymentResult } from '../domain/payment-request.js';
import { type HeardResult, HearPaymentResult } from './apply-payment-result.js';
import { PaymentGateway } from './payment-gateway.js';
import { CHARGE, type PaymentJob, refuseAnotherGateways } from './payment-jobs.js';
import { PaymentRequestStore } from './payment-request-store.js';

/** Whether a charge may be sent. `over`: the request was decided, cancelled or expired before any money moved. */
type Noted = { readonly outcome: 'send'; readonly request: PaymentRequest } | { readonly outcome: 'over' };

interface Settlement {
  readonly paymentRequestId: string;
  readonly result: PaymentResult;
}

/**
 * Has the gateway take the money of a request, outside of any transaction, and writes the result. What many calls write at the same
 * time is written together.
 */
@Injectable()
export class ChargePayment {
  private readonly notes = new Gather<string, Noted>({
    together: async (ids) => {
      const noted = await this.requests.noteCharges(ids, this.clock.now());
      const byId = new Map(noted.map((request) => [request.id, { outcome: 'send', request } as const]));
      // One that is missing is over, or somebody else has it locked: alone it shows.
      return ids.map((id) => byId.get(id));
    },
    alone: async (id) => {
      const request = await this.requests.noteCharge(id, this.clock.now());
      return request ? { outcome: 'send', request } : { outcome: 'over' };
    },
  });

  private readonly settlements = new Gather<Settlement, 'settled'>({
    together: async (settlements) => {
      const heard = new Map(settlements.map((each) => [each.paymentRequestId, heardOf(each)]));
      const settled = await this.dataSource.transaction((tx) => this.hearResult.executeAvailable(tx, heard));
      return settlements.map(({ paymentRequestId }) => (settled.has(paymentRequestId) ? 'settled' : undefined));
    },
    alone: async (settlement) => {
      const { paymentRequestId } = settlement;
      await this.dataSource.transaction((tx) => this.hearResult.execute(tx, paymentRequestId, heardOf(settlement)));
      return 'settled';
    },
  });

  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly gateway: PaymentGateway,
    private readonly hearResult: HearPaymentResult,
    private readonly clock: Clock,
    @Inject(MESSAGING_DATA_SOURCE) private readonly dataSource: DataSource,
  ) {}

  /** May be run again and beside itself, for the key is the same. Throws when the outcome is not known. */
  async execute(job: PaymentJob, signal: AbortSignal): Promise<void> {
    const { paymentRequestId, gateway } = job;
    if (gateway !== this.gateway.name && (await this.requests.isOverUncharged(paymentRequestId))) return;
    // Before it is noted: what is not sent here must not look as if it were.
    refuseAnotherGateways(job, this.gateway.name);
    const noted = await this.notes.write(paymentRequestId);
    if (noted.outcome === 'over') return;

    const result = await this.gateway.charge(noted.request, paymentRequestId, signal);
    if (result.status !== 'PENDING') await this.settlements.write({ paymentRequestId, result });
  }
}

function heardOf({ result }: Settlement): HeardResult {
  return { result, source: 'gateway', type: CHARGE, cause: CHARGE, messageId: null };
}
