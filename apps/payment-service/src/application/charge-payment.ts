import { Inject, Injectable } from '@nestjs/common';
import { MESSAGING_DATA_SOURCE } from '@twinbox/api-kit';
import { Clock } from '@twinbox/kernel';
import { Gather } from '@twinbox/messaging/transactions';
import { DataSource } from 'typeorm';
import { type PaymentRequest, type PaymentResult } from '../domain/payment-request.js';
import { type ResultReport, ApplyPaymentResult } from './apply-payment-result.js';
import { PaymentGateway } from './payment-gateway.js';
import { CHARGE, type PaymentJob, assertGatewayInUse } from './payment-jobs.js';
import { PaymentRequestStore } from './payment-request-store.js';

/** Whether the charge may be sent. `closed`: the request was decided, cancelled or expired before any money moved. */
type ChargePermission = { readonly outcome: 'send'; readonly request: PaymentRequest } | { readonly outcome: 'closed' };

interface Settlement {
  readonly paymentRequestId: string;
  readonly result: PaymentResult;
}

/** Charges a request outside of any transaction and records the result. Calls that finish at the same time share their writes. */
@Injectable()
export class ChargePayment {
  private readonly permissions = new Gather<string, ChargePermission>({
    writeAll: async (ids) => {
      const marked = await this.requests.markChargesSent(ids, this.clock.now());
      const byId = new Map(marked.map((request) => [request.id, { outcome: 'send', request } as const]));
      // A missing request is closed or locked by another transaction. Tried alone, it shows which.
      return ids.map((id) => byId.get(id));
    },
    writeOne: async (id) => {
      const request = await this.requests.markChargeSent(id, this.clock.now());
      return request ? { outcome: 'send', request } : { outcome: 'closed' };
    },
  });

  private readonly settlements = new Gather<Settlement, 'settled'>({
    writeAll: async (settlements) => {
      const reports = new Map(settlements.map((each) => [each.paymentRequestId, reportOf(each)]));
      const settled = await this.dataSource.transaction((tx) => this.applyResult.executeAvailable(tx, reports));
      return settlements.map(({ paymentRequestId }) => (settled.has(paymentRequestId) ? 'settled' : undefined));
    },
    writeOne: async (settlement) => {
      const { paymentRequestId } = settlement;
      await this.dataSource.transaction((tx) => this.applyResult.execute(tx, paymentRequestId, reportOf(settlement)));
      return 'settled';
    },
  });

  constructor(
    private readonly requests: PaymentRequestStore,
    private readonly gateway: PaymentGateway,
    private readonly applyResult: ApplyPaymentResult,
    private readonly clock: Clock,
    @Inject(MESSAGING_DATA_SOURCE) private readonly dataSource: DataSource,
  ) {}

  /** Safe to retry and to run concurrently, because the key stays the same. Throws when the outcome is unknown. */
  async execute(job: PaymentJob, signal: AbortSignal): Promise<void> {
    const { paymentRequestId, gateway } = job;
    if (gateway !== this.gateway.name && (await this.requests.isClosedUncharged(paymentRequestId))) return;
    // Checked before the request is marked: a charge that is not sent from here must not look as if it were.
    assertGatewayInUse(job, this.gateway.name);
    const permission = await this.permissions.write(paymentRequestId);
    if (permission.outcome === 'closed') return;

    const result = await this.gateway.charge(permission.request, paymentRequestId, signal);
    if (result.status !== 'PENDING') await this.settlements.write({ paymentRequestId, result });
  }
}

function reportOf({ result }: Settlement): ResultReport {
  return { result, source: 'gateway', type: CHARGE, cause: CHARGE, messageId: null };
}
