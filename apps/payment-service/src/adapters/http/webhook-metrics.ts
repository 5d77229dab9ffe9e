import { Global, Injectable, Module } from '@nestjs/common';
import { MetricsSource } from '@twinbox/api-kit';
import { Counter, Registry } from 'prom-client';

/** `payment_webhooks_mismatched_total`: an operator must check each of these webhooks. */
@Injectable()
export class WebhookMetrics extends MetricsSource {
  override readonly registry = new Registry();
  readonly mismatched = new Counter({
    name: 'payment_webhooks_mismatched_total',
    help: 'Webhooks ignored because they named a different amount or currency than their payment request.',
    registers: [this.registry],
  });
}

/** Global, because the metrics module collects its sources without importing their modules. */
@Global()
@Module({ providers: [WebhookMetrics], exports: [WebhookMetrics] })
export class WebhookMetricsModule {}
