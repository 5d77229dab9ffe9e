import { type Change, type Snapshot } from './change.js';
import { type Message } from './memory.js';
import { must } from './must.js';

/** Each service publishes an event once per order, and in order. */
function eventsAreUniqueAndOrdered({ before, now }: Change): void {
  for (const [messages, count] of [
    [now.orderMessages, before.orderMessages.length],
    [now.paymentMessages, before.paymentMessages.length],
  ] as const)
    for (const message of messages.slice(count).filter(isOwn)) {
      const earlier = messages
        .slice(0, messages.indexOf(message))
        .filter((other) => other.orderId === message.orderId && isOwn(other));
      must(
        !earlier.some(({ type }) => type === message.type),
        `an event must not be published twice, but ${message.type} was`,
      );
      must(
        earlier.every(({ sequence }) => sequence < message.sequence),
        `sequences must increase within an order, but that of ${message.type} does not`,
      );
    }
}

/** Every received message adds exactly one step to the timeline: the change it made, or that it was ignored. */
function orderServiceAddsSteps({ before, now, newOrderLines, tally }: Change): void {
  for (const id of now.receivedByOrders.slice(before.receivedByOrders.length)) {
    const message = messageOf(now.paymentMessages, id);
    const added = newOrderLines.filter(({ messageId }) => messageId === id);
    must(added.length === 1, `a message must add one step to the timeline, but ${message.type} added ${added.length}`);

    const was = before.orders.get(message.orderId);
    const order = now.orders.get(message.orderId);
    const isStep =
      was?.status !== order?.status ||
      // A CANCELLED order waits for these, and they only change what it knows about its payment.
      ((message.type === 'PaymentCancelled' || message.type === 'PaymentRefunded') &&
        order?.status === 'CANCELLED' &&
        was?.payment?.status !== order.payment?.status);
    const isRepeated = isRepetition(now.paymentMessages, now.receivedByOrders, message);
    checkStep({ message, isStep, isIgnored: added[0]!.type === 'MessagePassedOver', isRepeated }, tally);
  }
}

function paymentServiceAddsSteps({ before, now, newPaymentLines, tally }: Change): void {
  for (const id of now.receivedByPayments.slice(before.receivedByPayments.length)) {
    const added = newPaymentLines.filter(({ messageId }) => messageId === id);
    if (id.startsWith('webhook')) {
      must(added.length === 1, `a webhook must add one step to the timeline, not ${added.length}`);
      const { orderId, type } = added[0]!;
      const isStep = requestOf(before, orderId)?.status !== requestOf(now, orderId)?.status;
      must(
        isStep === (type !== 'MessagePassedOver'),
        `a webhook must be ignored if and only if it changes nothing, but it added ${type}`,
      );
      continue;
    }
    const message = messageOf(now.orderMessages, id);
    const { type, orderId } = message;
    if (type !== 'OrderPlaced' && type !== 'OrderCancelled') {
      must(added.length === 0, `payment-service must ignore ${type}`);
      continue;
    }
    const isBelated = added.map((line) => line.type).join() === 'PaymentRequested,PaymentCancelled';
    must(
      added.length === 1 || isBelated,
      `a message must add one step to the timeline, but ${type} added ${added.length}`,
    );

    const request = requestOf(now, orderId);
    const isRepeated = isRepetition(now.orderMessages, now.receivedByPayments, message);
    // A failed payment cancels its order. That cancellation is expected here although it changes nothing.
    const isEcho = type === 'OrderCancelled' && request !== undefined && !isRepeated;
    const isStep = requestOf(before, orderId)?.status !== request?.status || isEcho;
    checkStep({ message, isStep, isIgnored: added[0]!.type === 'MessagePassedOver', isRepeated }, tally);
  }
}

export const messageInvariants = [eventsAreUniqueAndOrdered, orderServiceAddsSteps, paymentServiceAddsSteps];

interface Receipt {
  readonly message: Message;
  /** The message changed something, or was expected although it did not. */
  readonly isStep: boolean;
  readonly isIgnored: boolean;
  /** Another message with the same content was received before. */
  readonly isRepeated: boolean;
}

function checkStep(
  { message: { type, isFabricated = false }, isStep, isIgnored, isRepeated }: Receipt,
  tally: Change['tally'],
): void {
  must(isIgnored === !isStep, `a message must be ignored if and only if it changes nothing, unlike ${type}`);
  must(isIgnored || !isRepeated, `a repeated message must be ignored, unlike ${type}`);
  must(isIgnored || !isFabricated, `a contradicting message must be ignored, unlike ${type}`);
  if (isRepeated) tally.add(`message: a second ${type}`);
  if (isFabricated) tally.add(`message: a fabricated ${type}`);
}

/** Neither a repetition nor fabricated. */
function isOwn({ repeats, isFabricated }: Message): boolean {
  return repeats === undefined && !isFabricated;
}

function isRepetition(
  messages: readonly Message[],
  received: readonly string[],
  { id, repeats = id }: Message,
): boolean {
  return messages.some(
    (other) => other.id !== id && (other.id === repeats || other.repeats === repeats) && received.includes(other.id),
  );
}

function messageOf(messages: readonly Message[], id: string): Message {
  const message = messages.find((message) => message.id === id);
  must(message !== undefined, `a received message must have been published, unlike ${id}`);
  return message;
}

function requestOf({ requests }: Snapshot, orderId: string) {
  return [...requests.values()].find((request) => request.orderId === orderId);
}
