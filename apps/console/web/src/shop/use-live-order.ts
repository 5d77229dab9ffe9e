import { useQueryClient } from '@tanstack/react-query';
import { isProblem, TwinboxConnectionError } from '@twinbox/client';
import { type Order, type OrdersClient } from '@twinbox/client/orders';
import { useEffect, useState } from 'react';
import { endSession } from '../shell/session.js';
import { useClients } from '../shared/clients.js';
import { type ShownStep, withSteps } from './order-progress.js';

export interface LiveOrder {
  readonly order: Order | undefined;
  readonly steps: readonly ShownStep[];
  /** Whether changes arrive at once. Otherwise the stream is being opened, or was interrupted and is resumed by itself. */
  readonly isLive: boolean;
  /** What ended it for good. */
  readonly error: unknown;
}

const NOTHING: LiveOrder = { order: undefined, steps: [], isLive: false, error: undefined };

/** Follows one order, which stays the same. Each step is shown once, however often the connection breaks. */
export function useLiveOrder(orderId: string): readonly [LiveOrder, retry: () => void] {
  const { orders } = useClients();
  const queries = useQueryClient();
  const [state, setState] = useState(NOTHING);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const leaving = new AbortController();
    const change = (next: (before: LiveOrder) => Partial<LiveOrder>) =>
      setState((before) => (leaving.signal.aborted ? before : { ...before, ...next(before) }));
    void follow(orders, orderId, leaving.signal, change).catch((error: unknown) => {
      if (isProblem(error, 'session-ended')) endSession(queries);
      change(() => ({ error, isLive: false }));
    });
    return () => leaving.abort();
  }, [orders, queries, orderId, attempt]);
  const retry = () => {
    setState(NOTHING);
    setAttempt((before) => before + 1);
  };
  return [state, retry];
}

type Change = (next: (before: LiveOrder) => Partial<LiveOrder>) => void;

async function follow(orders: OrdersClient, orderId: string, signal: AbortSignal, change: Change): Promise<void> {
  const load = async () => {
    const [order, steps] = await Promise.all([
      orders.getOrder({ orderId }, { signal }),
      allSteps(orders, orderId, signal),
    ]);
    change((before) => ({ order, steps: withSteps(before.steps, steps), isLive: true }));
  };
  const onInterrupted = () => change(() => ({ isLive: false }));
  const onResumed = () => change(() => ({ isLive: true }));
  for await (const step of orders.watchOrder({ orderId }, { signal, load, onInterrupted, onResumed })) {
    change((before) => ({ steps: withSteps(before.steps, [step]), isLive: true }));
    const order = await latestOrder(orders, orderId, signal, onInterrupted);
    change((before) => ({ isLive: true, ...(!(before.order && before.order.version > order.version) && { order }) }));
  }
}

/** Loads the order, and again while that fails because of the connection, which breaks the stream as well. */
async function latestOrder(
  orders: OrdersClient,
  orderId: string,
  signal: AbortSignal,
  onFailure: () => void,
): Promise<Order> {
  for (;;) {
    try {
      // The client waits longer from one attempt to the next.
      return await orders.getOrder({ orderId }, { signal });
    } catch (error) {
      signal.throwIfAborted();
      const mayPass = error instanceof TwinboxConnectionError || (isProblem(error) && error.status >= 500);
      if (!mayPass) throw error;
      onFailure();
    }
  }
}

async function allSteps(orders: OrdersClient, orderId: string, signal: AbortSignal): Promise<ShownStep[]> {
  const steps: ShownStep[] = [];
  for await (const step of orders.getTimeline({ orderId, limit: 100 }, { signal })) steps.push(step);
  return steps;
}
