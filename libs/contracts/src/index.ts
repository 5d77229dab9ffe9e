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
  type OrderEvent,
  OrderFinished,
  OrderPlaced,
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
