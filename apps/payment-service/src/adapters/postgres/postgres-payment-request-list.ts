import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type PaymentListing, PaymentRequestList } from '../../application/payment-request-list.js';
import { type PaymentRequest } from '../../domain/payment-request.js';
import { paymentListStatement } from './payment-request-list-sql.js';

@Injectable()
export class PostgresPaymentRequestList extends PaymentRequestList {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async list(listing: PaymentListing): Promise<PaymentRequest[]> {
    const { text, values } = paymentListStatement(listing);
    return this.dataSource.query(text, [...values]);
  }
}
