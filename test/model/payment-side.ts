import { type OrderCancelled, type OrderPlaced } from '@twinbox/contracts';
import { ApplyPaymentResult } from '../../apps/payment-service/src/application/apply-payment-result.js';
import { CancelPayment } from '../../apps/payment-service/src/application/cancel-payment.js';
import { ChargePayment } from '../../apps/payment-service/src/application/charge-payment.js';
import { CreatePaymentRequest } from '../../apps/payment-service/src/application/create-payment-request.js';
import { ConfirmRefund } from '../../apps/payment-service/src/application/confirm-refund.js';
import { DecidePayment } from '../../apps/payment-service/src/application/decide-payment.js';
import { ExpirePayments } from '../../apps/payment-service/src/application/expire-payments.js';
import { CHARGE } from '../../apps/payment-service/src/application/payment-jobs.js';
import { PaymentJournal } from '../../apps/payment-service/src/application/payment-journal.js';
import { RefundPayment } from '../../apps/payment-service/src/application/refund-payment.js';
import { type PaymentRequest, type PaymentResult } from '../../apps/payment-service/src/domain/payment-request.js';
import { Database, type Message, outboxTo, type Transaction } from './memory.js';
import { emptyTables, type Job, jobsOn, requestOf, requestStoreOn, timelineOn } from './payment-tables.js';
import { NoAnswer, Provider } from './provider.js';

/** The event-loop turns a worker needs: writes of one turn are batched, and a result is written after the mark. */
const TURNS = 4;

/** A webhook sent by the provider. */
export interface Webhook {
  readonly id: string;
  readonly paymentRequestId: string;
  readonly orderId: string;
  readonly result: PaymentResult;
}

export interface PaymentTerms {
  readonly isAutomatic: boolean;
  readonly ttlMs: number;
}

/** The use cases of payment-service on in-memory tables, with the provider they call. */
export class PaymentSide {
  readonly tables = emptyTables();
  readonly database = new Database(this.tables);
  readonly provider: Provider;
  readonly decidePayment: DecidePayment;
  readonly expirePayments: ExpirePayments;
  readonly confirmRefund: ConfirmRefund;
  private readonly createPaymentRequest: CreatePaymentRequest;
  private readonly cancelPayment: CancelPayment;
  private readonly applyResult: ApplyPaymentResult;
  private readonly chargePayment: ChargePayment;
  private readonly refundPayment: RefundPayment;
  private readonly jobsInFlight: Job[] = [];
  /** Whether workers die after finishing a job, before removing it. */
  workersDie = false;
  private jobTrouble: unknown;

  constructor(clock: { now(): Date }, { isAutomatic, ttlMs }: PaymentTerms) {
    const requests = requestStoreOn(this.tables, clock);
    const timeline = timelineOn(this.tables);
    const dataSource = this.database as unknown as ConstructorParameters<typeof RefundPayment>[4];
    const jobs = jobsOn(this.tables);
    const journal = new PaymentJournal(requests, outboxTo('payment.events', this.tables), jobs, clock);
    this.provider = new Provider(isAutomatic, () => this.database.isOpen);
    this.decidePayment = new DecidePayment(journal, clock);
    this.expirePayments = new ExpirePayments(requests, journal);
    this.confirmRefund = new ConfirmRefund(journal, jobs, this.provider, clock);
    this.createPaymentRequest = new CreatePaymentRequest(requests, journal, this.provider, { ttlMs });
    this.cancelPayment = new CancelPayment(requests, timeline, journal, clock);
    this.applyResult = new ApplyPaymentResult(requests, journal, clock);
    this.chargePayment = new ChargePayment(requests, this.provider, this.applyResult, clock, dataSource);
    this.refundPayment = new RefundPayment(requests, this.provider, journal, clock, dataSource);
  }

  /** Receives a message like the inbox; returns false for a duplicate. */
  async receiveMessage({ id, type, data }: Message): Promise<boolean> {
    return this.once(id, async (tx) => {
      if (type === 'OrderPlaced') await this.createPaymentRequest.execute(tx, data as OrderPlaced, id);
      if (type === 'OrderCancelled') await this.cancelPayment.execute(tx, data as OrderCancelled, id);
    });
  }

  /** Receives a webhook like the HTTP edge; returns false for a duplicate. */
  async receiveWebhook({ id, paymentRequestId, result }: Webhook): Promise<boolean> {
    const report = {
      result,
      source: 'provider',
      type: `payment ${result.status}`,
      cause: 'webhook',
      messageId: id,
    } as const;
    return this.once(id, async (tx) => {
      await this.applyResult.execute(tx, paymentRequestId, report);
    });
  }

  requestOf(orderId: string): PaymentRequest | undefined {
    return requestOf(this.tables, orderId);
  }

  /** How many workers run the job: one that lost its lease may run beside its successor. */
  workersAt(job: Job): number {
    return this.jobsInFlight.filter(({ id }) => id === job.id).length;
  }

  /** Starts a worker on the job, which runs until it waits for the provider. */
  async start(job: Job): Promise<void> {
    this.jobsInFlight.push(job);
    void this.work(job);
    await this.workersWait();
  }

  /** Lets the workers run until they wait for the provider. */
  async workersWait(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await new Promise(setImmediate);
    if (this.jobTrouble) throw new Error('A job is dead', { cause: this.jobTrouble });
  }

  private async work(job: Job): Promise<void> {
    const { signal } = new AbortController();
    const call = job.queue === CHARGE ? this.chargePayment : this.refundPayment;
    try {
      await call.execute(job, signal);
      if (!this.workersDie) this.tables.jobs.delete(job.id);
    } catch (error) {
      // The job stays and is retried.
      if (!(error instanceof NoAnswer)) this.jobTrouble = error;
    } finally {
      this.jobsInFlight.splice(this.jobsInFlight.indexOf(job), 1);
    }
  }

  private async once(messageId: string, work: (tx: Transaction) => Promise<void>): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      if (this.tables.inbox.has(messageId)) return false;
      this.tables.inbox.add(messageId);
      await work(tx);
      return true;
    });
  }
}
