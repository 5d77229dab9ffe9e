import { logMessages, type Service } from '@twinbox/api-kit';
import { connectInboxes } from '@twinbox/messaging';
import { AppModule } from './app.module.js';
import { OrderServiceConfig } from './config.js';

export const orderService = {
  name: 'order-service',
  configClass: OrderServiceConfig,
  module: (config) => AppModule.with(config),
  configure: (app) => connectInboxes(app).forEach((inbox) => inbox.useGlobalInterceptors(logMessages)),
  openApi: {
    title: 'Twinbox order-service',
    description:
      'Fill a cart, place it, and watch the order: DRAFT → PLACED → PAYMENT_PENDING → COMPLETED → FINISHED, or CANCELLED.',
    version: '0.1.0',
  },
} satisfies Service<OrderServiceConfig>;
