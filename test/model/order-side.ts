import { type PaymentEvent } from '@twinbox/contracts';
import { CancelOrder } from '../../apps/order-service/src/application/cancel-order.js';
import { EditCart } from '../../apps/order-service/src/application/edit-cart.js';
import { FinishOrder } from '../../apps/order-service/src/application/finish-order.js';
import { ApplyPaymentEvent } from '../../apps/order-service/src/application/apply-payment-event.js';
import { OrderJournal } from '../../apps/order-service/src/application/order-journal.js';
import { type OrderStore, type Step } from '../../apps/order-service/src/application/order-store.js';
import { PlaceOrder } from '../../apps/order-service/src/application/place-order.js';
import { PlaceTogether } from '../../apps/order-service/src/application/place-together.js';
import { type ProductStore } from '../../apps/order-service/src/application/product-store.js';
import { PutProduct } from '../../apps/order-service/src/application/put-product.js';
import { type QuotaStore } from '../../apps/order-service/src/application/quota-store.js';
import { type Order } from '../../apps/order-service/src/domain/order.js';
import { Catalogue, type Line, type Product } from '../../apps/order-service/src/domain/product.js';
import { type Holdings, Quotas } from '../../apps/order-service/src/domain/quotas.js';
import { Database, type Message, outboxTo } from './memory.js';

/** The only customer may have fewer drafts and fewer unpaid orders than there are orders. */
export const MAX_DRAFTS = 2;
export const MAX_UNPAID_ORDERS = 2;

export interface OrderLine extends Step {
  readonly orderId: string;
}

function emptyTables() {
  return {
    orders: new Map<string, Order>(),
    products: new Map<string, Product>(),
    /** Items that cancelled orders released and that are not yet added to the stock. */
    releases: [] as Line[],
    timeline: [] as OrderLine[],
    messages: [] as Message[],
    inbox: new Set<string>(),
  };
}

/** The use cases of order-service on in-memory tables. */
export class OrderSide {
  readonly tables = emptyTables();
  readonly database = new Database(this.tables);
  readonly editCart: EditCart;
  readonly placeOrder: PlaceOrder;
  readonly placeTogether: PlaceTogether;
  readonly cancelOrder: CancelOrder;
  readonly finishOrder: FinishOrder;
  readonly putProduct: PutProduct;
  private readonly applyPaymentEvent: ApplyPaymentEvent;
  /** How often the rule saw enough stock, but too little was left to reserve. */
  shortWhenReserving = 0;
  private beforeLastSale: Catalogue | undefined;
  /** Unlocked reads of products return the stock before the last sale, as if the sale had just committed. */
  staleReads = false;

  constructor(clock: { now(): Date }) {
    const orders = this.orderStore();
    const products = this.productStore();
    const holdings = this.quotaStore();
    const unlimited = { heldPieces: Infinity, heldShare: 1, shareAbove: 1 };
    const quotas = new Quotas({ drafts: MAX_DRAFTS, unpaidOrders: MAX_UNPAID_ORDERS, ...unlimited });
    const journal = new OrderJournal(orders, outboxTo('order.events', this.tables), clock);
    this.editCart = new EditCart(journal, products, holdings, quotas, clock);
    this.placeOrder = new PlaceOrder(journal, products, holdings, quotas, clock);
    this.placeTogether = new PlaceTogether(journal, products, holdings, quotas, clock);
    this.cancelOrder = new CancelOrder(journal, products, clock);
    this.finishOrder = new FinishOrder(journal, clock);
    this.putProduct = new PutProduct(products, clock);
    this.applyPaymentEvent = new ApplyPaymentEvent(orders, products, journal, clock);
  }

  /** Receives a message like the inbox; returns false for a duplicate. */
  async receiveMessage({ id, type, data }: Message): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      if (this.tables.inbox.has(id)) return false;
      this.tables.inbox.add(id);
      const decision = await this.applyPaymentEvent.execute(tx, { type, data } as PaymentEvent, id);
      if (!decision.accepted) throw new Error(`${type} is a dead letter: ${decision.rejection.code}`);
      return true;
    });
  }

  available(productId: string): number {
    const released = this.tables.releases.filter((release) => release.productId === productId);
    return (this.tables.products.get(productId)?.available ?? 0) + sumOf(released);
  }

  /** Counts the orders that match. */
  count(matches: (order: Order) => boolean): number {
    return [...this.tables.orders.values()].filter(matches).length;
  }

  /** Pieces in the orders that match. */
  held(productId: string, matches: (order: Order) => boolean): number {
    const items = [...this.tables.orders.values()].filter(matches).flatMap((order) => order.items);
    return sumOf(items.filter((item) => item.productId === productId));
  }

  private catalogue(): Catalogue {
    const products = [...this.tables.products.values()];
    return new Catalogue(products.map((product) => ({ ...product, available: this.available(product.id) })));
  }

  private orderStore(): OrderStore {
    const { tables } = this;
    const addSteps = (orderId: string, steps: readonly Step[]): void => {
      tables.timeline.push(...steps.map((step) => ({ ...step, orderId })));
    };
    const known = (orderId: string): Order => {
      const order = tables.orders.get(orderId);
      if (!order) throw new Error(`There is no order ${orderId}`);
      return order;
    };
    const store: Pick<OrderStore, 'add' | 'lock' | 'lockHead' | 'save' | 'saveItems'> = {
      add: async (_, order, steps) => {
        tables.orders.set(order.id, order);
        addSteps(order.id, steps);
      },
      lock: async (_, orderId) => tables.orders.get(orderId),
      lockHead: async (__, orderId) => {
        const { items: _, ...head } = known(orderId);
        return head;
      },
      save: async (_, head, steps) => {
        tables.orders.set(head.id, { ...head, items: known(head.id).items });
        addSteps(head.id, steps);
      },
      saveItems: async (_, orderId, items) => {
        tables.orders.set(orderId, { ...known(orderId), items });
      },
    };
    return store as OrderStore;
  }

  private quotaStore(): QuotaStore {
    const holdings = (): Holdings => {
      const ofProduct = new Map([...this.tables.products.keys()].map((id) => [id, this.held(id, isReserved)]));
      const pieces = [...ofProduct.values()].reduce((sum, held) => sum + held, 0);
      return { unpaidOrders: this.count(isReserved), pieces, ofProduct };
    };
    const store: QuotaStore = {
      lockHoldings: async () => holdings(),
      lockAvailable: async (_, customerIds) => new Map(customerIds.map((id) => [id, holdings()])),
      lockDrafts: async () => this.count(isDraft),
    };
    return store;
  }

  /** Adds released items to the stock, like any code that locks the product. */
  private fold(productId: string): Product | undefined {
    const { tables } = this;
    const product = tables.products.get(productId);
    if (!product) return undefined;
    const folded = { ...product, available: this.available(productId) };
    tables.products.set(productId, folded);
    tables.releases = tables.releases.filter((release) => release.productId !== productId);
    return folded;
  }

  private take(lines: readonly Line[]): void {
    this.beforeLastSale = this.catalogue();
    const { products } = this.tables;
    for (const { productId, quantity } of lines) {
      const product = products.get(productId);
      if (product) products.set(productId, { ...product, available: product.available - quantity });
    }
  }

  private productStore(): ProductStore {
    const { tables } = this;
    const store: Omit<ProductStore, 'find' | 'findStocked' | 'list' | 'listStocked'> = {
      catalogue: async () => (this.staleReads && this.beforeLastSale) || this.catalogue(),
      reserve: async (_, lines) => {
        const locked = lines.flatMap(({ productId }) => this.fold(productId) ?? []);
        const found = new Catalogue(locked);
        const isShort = found.shortages(lines).length > 0;
        if (isShort) this.shortWhenReserving++;
        if (isShort) return found;
        this.take(lines);
        return found;
      },
      lockAvailable: async (_, lines) => new Catalogue(lines.flatMap(({ productId }) => this.fold(productId) ?? [])),
      take: async (_, lines) => this.take(lines),
      release: async (_, orderId) => {
        const items = tables.orders.get(orderId)?.items ?? [];
        tables.releases = [...tables.releases, ...items.map(({ productId, quantity }) => ({ productId, quantity }))];
      },
      lock: async (_, productId) => this.fold(productId),
      stocked: async (_, productId) => {
        const product = tables.products.get(productId);
        const available = this.available(productId);
        return product && { ...product, available, reserved: this.held(productId, isReserved) };
      },
      record: async () => undefined,
      add: async (_, product) => {
        if (tables.products.has(product.id)) return false;
        tables.products.set(product.id, product);
        return true;
      },
      save: async (_, __, product) => {
        tables.products.set(product.id, product);
      },
    };
    return store as ProductStore;
  }
}

/** Whether the order's items are reserved in the stock. */
export function isReserved({ status }: Order): boolean {
  return status === 'PLACED' || status === 'PAYMENT_PENDING';
}

export function isDraft({ status }: Order): boolean {
  return status === 'DRAFT';
}

function sumOf(lines: readonly Line[]): number {
  return lines.reduce((sum, { quantity }) => sum + quantity, 0);
}
