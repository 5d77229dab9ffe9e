import { type DynamicModule, Module } from '@nestjs/common';
import { AdminModule, IdempotencyMetrics, optionalSecretOf, secretOf, UnitOfWorkModule } from '@twinbox/api-kit';
import { Clock, SystemClock } from '@twinbox/kernel';
import { GrpcLiveOrdersController } from './adapters/grpc/live-orders.controller.js';
import { GrpcOrderPagesController } from './adapters/grpc/order-pages.controller.js';
import { GrpcOrdersController } from './adapters/grpc/orders.controller.js';
import { GrpcProductsController } from './adapters/grpc/products.controller.js';
import { CartController } from './adapters/http/cart.controller.js';
import { LiveOrdersController } from './adapters/http/live/live-orders.controller.js';
import { OrderStreams } from './adapters/http/live/order-streams.js';
import { StreamTickets } from './adapters/http/live/stream-tickets.js';
import { TicketsController } from './adapters/http/live/tickets.controller.js';
import { VisibleOrders } from './adapters/http/visible-orders.js';
import { OrderListController } from './adapters/http/order-list.controller.js';
import { OrderPages } from './adapters/http/order-pages.js';
import { OrderPlacements } from './adapters/http/order-placements.js';
import { OrderRequests } from './adapters/http/order-requests.js';
import { OrderTimelineController } from './adapters/http/order-timeline.controller.js';
import { OrdersController } from './adapters/http/orders.controller.js';
import { ProductRequests } from './adapters/http/product-requests.js';
import { ProductsController } from './adapters/http/products.controller.js';
import { NotificationsController } from './adapters/messaging/notifications.controller.js';
import { PaymentEventsController } from './adapters/messaging/payment-events.controller.js';
import { LogNotifier } from './adapters/notifications/log-notifier.js';
import { MailNotifier } from './adapters/notifications/mail-notifier.js';
import { NotificationJobs } from './adapters/notifications/notification-jobs.js';
import { entities } from './adapters/postgres/entities.js';
import { PostgresFeedHistory } from './adapters/postgres/live/feed-history.js';
import { PostgresFeedSource } from './adapters/postgres/live/feed-source.js';
import { PostgresTicketStore } from './adapters/postgres/live/ticket-store.js';
import { OrderMetrics, OrderMetricsModule } from './adapters/postgres/order-metrics.js';
import { PostgresOrderList } from './adapters/postgres/postgres-order-list.js';
import { PostgresOrderStore } from './adapters/postgres/postgres-order-store.js';
import { PostgresOrderTimeline } from './adapters/postgres/postgres-order-timeline.js';
import { PostgresProductStore } from './adapters/postgres/postgres-product-store.js';
import { PostgresQuotaStore } from './adapters/postgres/postgres-quota-store.js';
import { ProductWords } from './adapters/postgres/product-words.js';
import { ApplyPaymentEvent } from './application/apply-payment-event.js';
import { CancelOrder } from './application/cancel-order.js';
import { EditCart } from './application/edit-cart.js';
import { FinishOrder } from './application/finish-order.js';
import { Delivery } from './application/live/delivery.js';
import { Feed } from './application/live/feed.js';
import { OpenTickets } from './application/live/open-tickets.js';
import { FeedHistory, FeedSource } from './application/live/ports.js';
import { TicketStore } from './application/live/tickets.js';
import { Notifier } from './application/notifier.js';
import { OrderJournal } from './application/order-journal.js';
import { OrderList } from './application/order-list.js';
import { OrderStore, StepListener } from './application/order-store.js';
import { OrderTimeline } from './application/order-timeline.js';
import { PlaceOrder } from './application/place-order.js';
import { PlaceTogether } from './application/place-together.js';
import { ProductStore } from './application/product-store.js';
import { PutProduct } from './application/put-product.js';
import { QuotaStore } from './application/quota-store.js';
import { type OrderServiceConfig } from './config.js';
import { Quotas } from './domain/quotas.js';
import { NAME, topology } from './topology.js';

const CONTROLLERS = [
  OrdersController,
  CartController,
  OrderListController,
  OrderTimelineController,
  LiveOrdersController,
  TicketsController,
  ProductsController,
  GrpcOrdersController,
  GrpcOrderPagesController,
  GrpcLiveOrdersController,
  GrpcProductsController,
  PaymentEventsController,
  NotificationsController,
];

const REQUESTS = [
  OrderJournal,
  PlaceOrder,
  PlaceTogether,
  EditCart,
  CancelOrder,
  FinishOrder,
  ApplyPaymentEvent,
  PutProduct,
  OrderPlacements,
  OrderRequests,
  OrderPages,
  ProductRequests,
  Feed,
  Delivery,
  OpenTickets,
  OrderStreams,
  StreamTickets,
  VisibleOrders,
];

@Module({})
export class AppModule {
  static with(config: OrderServiceConfig): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ...topology(config, {
          applicationName: NAME,
          entities,
          relay: config.RELAY === 'on',
          metrics: [IdempotencyMetrics, OrderMetrics],
        }),
        UnitOfWorkModule,
        AdminModule,
        OrderMetricsModule,
      ],
      controllers: CONTROLLERS,
      providers: [
        ...REQUESTS,
        { provide: StepListener, useExisting: Feed },
        { provide: FeedSource, useClass: PostgresFeedSource },
        { provide: FeedHistory, useClass: PostgresFeedHistory },
        PostgresTicketStore,
        { provide: TicketStore, useExisting: PostgresTicketStore },
        { provide: OrderList, useClass: PostgresOrderList },
        { provide: OrderTimeline, useClass: PostgresOrderTimeline },
        { provide: OrderStore, useClass: PostgresOrderStore },
        ProductWords,
        { provide: ProductStore, useClass: PostgresProductStore },
        { provide: QuotaStore, useClass: PostgresQuotaStore },
        { provide: Quotas, useFactory: () => quotasOf(config) },
        { provide: Notifier, useFactory: () => notifierFor(config) },
        NotificationJobs,
        { provide: Clock, useClass: SystemClock },
      ],
    };
  }
}

function notifierFor(config: OrderServiceConfig): Notifier {
  if (config.NOTIFIER === 'log') return new LogNotifier();
  return new MailNotifier({
    url: secretOf(config, 'SMTP_URL'),
    requiresTls: config.SMTP_TLS === 'required',
    ca: optionalSecretOf(config, 'SMTP_TLS_CA'),
    from: config.MAIL_FROM,
    domain: config.MAIL_DOMAIN,
  });
}

function quotasOf(config: OrderServiceConfig): Quotas {
  return new Quotas({
    drafts: config.MAX_DRAFTS,
    unpaidOrders: config.MAX_UNPAID_ORDERS,
    heldPieces: config.MAX_HELD_PIECES,
    heldShare: config.MAX_HELD_SHARE,
    shareAbove: config.HELD_SHARE_ABOVE,
  });
}
