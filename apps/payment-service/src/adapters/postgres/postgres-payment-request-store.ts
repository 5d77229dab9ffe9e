import { Injectable } from '@nestjs/common';
import { type Page, pageOf, type PageRequest } from '@twinbox/kernel';
import { DataSource, type EntityManager, type FindOptionsWhere, LessThan } from 'typeorm';
import { type PaymentRequestFilter, PaymentRequestStore } from '../../application/payment-request-store.js';
import { type PaymentRequest } from '../../domain/payment-request.js';
import { paymentRequestSchema } from './payment-request-schema.js';

@Injectable()
export class PostgresPaymentRequestStore extends PaymentRequestStore {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async add(tx: EntityManager, request: PaymentRequest): Promise<boolean> {
    const { raw } = await tx
      .createQueryBuilder()
      .insert()
      .into(paymentRequestSchema)
      .values(request)
      .orIgnore()
      .returning('id')
      .execute();
    return (raw as unknown[]).length > 0;
  }

  override async lock(tx: EntityManager, id: string): Promise<PaymentRequest | undefined> {
    return (
      (await tx.findOne(paymentRequestSchema, { where: { id }, lock: { mode: 'pessimistic_write' } })) ?? undefined
    );
  }

  override async save(tx: EntityManager, { id, ...row }: PaymentRequest): Promise<void> {
    await tx.update(paymentRequestSchema, { id }, row);
  }

  override async find(id: string): Promise<PaymentRequest | undefined> {
    return (await this.dataSource.manager.findOneBy(paymentRequestSchema, { id })) ?? undefined;
  }

  /** Served by payment_requests_order, _customer or _status, else by the primary key, each read backwards. */
  override async list(filter: PaymentRequestFilter, { limit, cursor }: PageRequest): Promise<Page<PaymentRequest>> {
    const given = Object.entries(filter).filter(([, value]) => value !== undefined);
    const where: FindOptionsWhere<PaymentRequest> = {
      ...Object.fromEntries(given),
      ...(cursor !== undefined && { id: LessThan(cursor) }),
    };
    const rows = await this.dataSource.manager.find(paymentRequestSchema, {
      where,
      order: { id: 'desc' },
      take: limit + 1,
    });
    return pageOf(rows, limit, ({ id }) => id);
  }
}
