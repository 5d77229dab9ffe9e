import { Global, Injectable, Module } from '@nestjs/common';
import { MetricsSource } from '@twinbox/api-kit';
import { Counter, Registry } from 'prom-client';

/** `payment_webhooks_mismatched_total`: an operator must check each of them. */
@Injectable()
export class WebhookMetrics extends MetricsSource {
  override readonly registry = new Registry();
  readonly mismatched = new Counter({
    name: 'payment_webhooks_mismatched_total',
    help: 'Webhooks that named another amount or currency than their payment request, and changed nothing.',
    registers: [this.registry],
  });
}

/** Global, because the metrics of the service are put together where its parts are not known. */
@Global()
@Module({ providers: [WebhookMetrics], exports: [WebhookMetrics] })
export class WebhookMetricsModule {}
