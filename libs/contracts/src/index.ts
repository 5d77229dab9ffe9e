export {
  currentCurrencies,
  formerCurrencies,
  isCurrentCurrency,
  IsPriceCurrency,
  isKnownCurrency,
  IsKnownCurrency,
} from './currencies.js';
export {
  ORDER_EVENTS,
  OrderCancelled,
  OrderCompleted,
  OrderedItem,
  type OrderEvent,
  OrderFinished,
  OrderPlaced,
  OrderPlacedV1,
} from './order-events.js';
export {
  PAYMENT_EVENTS,
  PaymentCancelled,
  type PaymentEvent,
  PaymentFailed,
  PaymentRefunded,
  PaymentRequested,
  PaymentSucceeded,
} from './payment-events.js';
