import { connectGrpc, type GrpcApi, logMessages, type Service } from '@twinbox/api-kit';
import { EVENT_DOCUMENTS } from '@twinbox/contracts/event-documents';
import { descriptors } from '@twinbox/contracts/grpc/descriptors';
import { OrderServiceService, ProductServiceService } from '@twinbox/contracts/grpc/orders';
import { connectInboxes } from '@twinbox/messaging';
import { AppModule } from './app.module.js';
import { OrderServiceConfig } from './config.js';

export const orderGrpc = {
  services: {
    'twinbox.orders.v1.OrderService': OrderServiceService,
    'twinbox.orders.v1.ProductService': ProductServiceService,
  },
  descriptors,
} satisfies GrpcApi;

export const orderService = {
  name: 'order-service',
  configClass: OrderServiceConfig,
  module: (config) => AppModule.with(config),
  configure: async (app) => {
    connectInboxes(app).forEach((inbox) => inbox.useGlobalInterceptors(logMessages));
    await connectGrpc(app, orderGrpc);
  },
  openApi: {
    title: 'Twinbox order-service',
    description:
      'Fill a cart, place it, and watch the order: DRAFT → PLACED → PAYMENT_PENDING → COMPLETED → FINISHED, or CANCELLED.',
    version: '0.1.0',
    license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    tags: {
      orders: 'Place orders and follow them until they are finished or cancelled.',
      carts: 'Change the items of an order that is not placed yet.',
      products: 'Read and keep the catalogue.',
    },
    events: EVENT_DOCUMENTS,
  },
} satisfies Service<OrderServiceConfig>;
