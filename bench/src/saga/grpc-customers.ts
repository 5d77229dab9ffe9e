import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { type CreateOrderResponse, type GetOrderResponse, OrderServiceClient } from '@twinbox/contracts/grpc/orders';
import { someItems, type Trading } from './customers.js';

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

/** Customers of a shop, who call one replica by gRPC over one connection. */
export class GrpcCustomers implements Trading {
  private readonly client: OrderServiceClient;

  constructor(address: string) {
    this.client = new OrderServiceClient(address, credentials.createInsecure());
  }

  async place(customerId: string): Promise<string | undefined> {
    const answer = await answerTo<CreateOrderResponse>((callback) =>
      this.client.createOrder({ draft: false, items: someItems() }, callerOf(customerId), callback),
    );
    return answer?.order?.id;
  }

  async read(customerId: string, orderId: string): Promise<boolean> {
    const answer = await answerTo<GetOrderResponse>((callback) =>
      this.client.getOrder({ orderId }, callerOf(customerId), callback),
    );
    if (answer && answer.order?.id !== orderId) throw new Error(`GetOrder: ${JSON.stringify(answer)}`);
    return answer !== undefined;
  }

  close(): void {
    this.client.close();
  }
}

function callerOf(customerId: string): Metadata {
  const metadata = new Metadata();
  metadata.set('x-user-id', customerId);
  return metadata;
}

/** Resolves with undefined when the shop cannot answer at the moment. */
function answerTo<Response>(call: (callback: Callback<Response>) => unknown): Promise<Response | undefined> {
  return new Promise((resolve, reject) => {
    call((error, response) => {
      if (!error) resolve(response);
      else if (error.code === status.UNAVAILABLE) resolve(undefined);
      else reject(error);
    });
  });
}
